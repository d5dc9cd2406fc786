//! What people look at: the page in a real browser, and `top` in a real terminal.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::serve::{Agent, enforced, tool, within};
use crate::world::{World, udp};

const POLICY: &str = "
version: 1
interfaces: { wan0: , lan0: { enforce: false } }
allow:
  - { id: web, service: udp/8000, owner: '<b>netops</b>', ticket: NET-1 }
";

/// What the browser makes of the page once its script has run: the document as text.
fn browse(world: &World, chromium: &std::path::Path, agent: &Agent) -> String {
    let profile = tempfile::tempdir().unwrap();
    let said = within(world, &chromium.display().to_string())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=5000", "--dump-dom", "--window-size=1200,1400"])
        .args(std::env::var("PERIMETER_SCREENSHOT").map(|path| format!("--screenshot={path}")).ok())
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(&agent.url)
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap()
}

/// Goal: the page shows what is enforced and counted, and takes nothing for markup. Method: Debian's Chromium, headless,
/// under the page's own content security policy.
#[test]
fn the_page_shows_what_was_sent() {
    let Some(chromium) = tool("chromium") else { return };
    let Some(world) = enforced(POLICY) else { return };
    let agent = Agent::start(&world, &[]);
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 1234);
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 56);
    world.settled("wan0", 1290);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut page = String::new();
    // The agent looks every five seconds, and may have done so between the two.
    while !(page.contains(">1,234<") && page.contains(">56<")) && Instant::now() < deadline {
        page = browse(&world, &chromium, &agent);
    }
    for words in [
        "in sync: what was put in force is in force",
        "shadow mode, nothing is dropped",
        "generation 1",
        ">web<",
        ">1,234<",
        ">no_rule<",
        ">56<",
        "&lt;b&gt;netops&lt;/b&gt;",
        "in force 1",
        "<polyline",
    ] {
        assert!(page.contains(words), "{words} in {page}");
    }
    let (_, headers) = agent.get(&world, "/", &["-D", "-", "-o", "/dev/null"]);
    let headers = headers.to_ascii_lowercase();
    assert!(
        headers.contains("content-security-policy: default-src 'none'; script-src 'sha256-"),
        "{headers}"
    );
    let stranger = agent.get(&world, "/page.json", &["-H", "Host: evil.example"]);
    assert_eq!(stranger.0, 403, "{}", stranger.1);
}

/// `top` in a terminal of 80 columns and 24 lines; ended when dropped.
struct Screen(String);

impl Screen {
    fn new(world: &World) -> Screen {
        let screen = Screen(world.name.clone());
        let places = world.places().join(" ");
        let namespace = world.namespace("gw");
        let program = env!("CARGO_BIN_EXE_perimeter");
        let command = format!("nsenter --net=/run/netns/{namespace} {program} {places} top");
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &command]);
        screen
    }

    fn tmux(&self, args: &[&str]) -> (bool, String) {
        let said = Command::new("tmux").args(["-L", &self.0]).args(args).output().unwrap();
        (said.status.success(), String::from_utf8_lossy(&said.stdout).into_owned())
    }

    fn press(&self, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys"], keys].concat()).0, "{keys:?}");
    }

    /// Waits until the screen shows this.
    fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let (_, shown) = self.tmux(&["capture-pane", "-p"]);
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "the screen shows\n{shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Goal: `top` works in a terminal. Method: tmux, 80 by 24; look, change the view, filter, leave.
#[test]
fn top_shows_what_is_sent_and_hears_its_keys() {
    let Some(_) = tool("tmux") else { return };
    let Some(world) = enforced(POLICY) else { return };
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 321);
    world.settled("wan0", 321);
    let screen = Screen::new(&world);
    let shown = screen.until(|shown| shown.contains("q leave") && shown.contains("321"));
    assert!(shown.contains("wan0  enforcing") && shown.contains("lan0  shadow mode"), "{shown}");
    assert_eq!(shown.lines().count(), 24);
    screen.press(&["3"]);
    let line = |shown: &str| shown.lines().any(|line| line.starts_with("wan0") && line.contains("web   "));
    screen.until(line);
    screen.press(&["/", "l", "a", "n", "Enter"]);
    screen.until(|shown| shown.contains("only \"lan\"") && !line(shown));
    screen.press(&["q"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while screen.tmux(&["has-session"]).0 {
        assert!(Instant::now() < deadline, "it does not leave");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Goal: in a pipe `top` says what to use instead.
#[test]
fn top_needs_a_terminal() {
    let program = env!("CARGO_BIN_EXE_perimeter");
    let said = Command::new(program).arg("top").stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(1) && words.contains("perimeter counters --json"), "{said:?}");
}
