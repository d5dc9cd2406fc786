//! Prometheus itself, beside a live agent: what it scrapes, computes and warns of, asked by PromQL.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::serve::{Agent, enforced, tool, within};
use crate::world::{World, udp};

/// The files that are shipped.
fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/monitoring").canonicalize().unwrap()
}

/// Debian's Prometheus in the gateway of a world; ended when dropped.
struct Prometheus {
    process: Child,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes an agent every half second, with the rules that are shipped.
    fn start(program: &Path, world: &World, agent: &Agent) -> Prometheus {
        let data = tempfile::tempdir().unwrap();
        let config = data.path().join("prometheus.yaml");
        let target = agent.url.trim_start_matches("http://");
        let rules = monitoring().join("rules.yaml");
        let text = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\nrule_files: ['{}']\n\
             scrape_configs: [{{ job_name: perimeter, static_configs: [{{ targets: ['{target}'] }}] }}]\n",
            rules.display()
        );
        std::fs::write(&config, text).unwrap();
        let process = within(world, &program.display().to_string())
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:9090", "--log.level=warn"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Prometheus { process, _data: data }
    }

    /// What it answers to a question; nothing while it is starting.
    fn ask(&self, world: &World, api: &str, query: &str) -> Option<Value> {
        let said = within(world, "curl")
            .args(["-sS", "--max-time", "5", "-G", "--data-urlencode", &format!("query={query}")])
            .arg(format!("http://127.0.0.1:9090/api/v1/{api}"))
            .output()
            .unwrap();
        let answer: Value = serde_json::from_slice(&said.stdout).ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        Some(answer["data"].clone())
    }

    /// The number that a question has for an answer.
    fn number(&self, world: &World, query: &str) -> Option<f64> {
        let data = self.ask(world, "query", query)?;
        data["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a question has this answer.
    fn until(&self, world: &World, query: &str, wanted: f64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut last = None;
        while Instant::now() < deadline {
            last = self.number(world, query);
            if last == Some(wanted) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{query}: {last:?}, not {wanted}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Where it ended by itself both fail, as they should.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const POLICY: &str = "
version: 1
interfaces: { wan0: , lan0: { enforce: false } }
allow:
  - { id: web, service: udp/8000, owner: netops }
";

/// The questions of the dashboard, with every variable filled in.
fn dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(monitoring().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let questions = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    questions
        .map(|question| {
            let question = question.replace("$__rate_interval", "1m");
            question.replace("$instance", ".*").replace("$interface", ".*")
        })
        .collect()
}

/// Goal: what is sent is what Prometheus knows, and its rules see what is wrong. Method: frames while it scrapes, an
/// interface in shadow mode, every question of the dashboard.
#[test]
fn prometheus_knows_what_was_sent() {
    let Some(program) = tool("prometheus") else { return };
    let Some(world) = enforced(POLICY) else { return };
    let agent = Agent::start(&world, &[]);
    let prometheus = Prometheus::start(&program, &world, &agent);
    prometheus.until(&world, "sum(perimeter_packets_total{interface=\"wan0\"})", 0.0);
    for _ in 0..4 {
        world.send("wan0", &udp([192, 0, 2, 1], 8000), 25);
        world.send("wan0", &udp([192, 0, 2, 1], 9999), 50);
        std::thread::sleep(Duration::from_millis(600));
    }
    prometheus.until(&world, "sum(perimeter_packets_total{interface=\"wan0\"})", 300.0);
    prometheus.until(
        &world,
        "perimeter_packets_total{interface=\"wan0\",reason=\"no_rule\",verdict=\"drop\"}",
        200.0,
    );
    let owned = "perimeter_rule_packets_total{interface=\"wan0\"} * on (rule, action) group_left (owner) perimeter_rule_info";
    prometheus.until(&world, &format!("sum by (owner) ({owned})"), 100.0);
    let ratio = "sum(rate(perimeter_packets_total{interface=\"wan0\",verdict=\"drop\"}[1m])) \
                 / sum(rate(perimeter_packets_total{interface=\"wan0\"}[1m]))";
    let ratio = prometheus.number(&world, ratio).unwrap();
    assert!((0.6..0.75).contains(&ratio), "two of three were dropped, but the rates say {ratio}");
    prometheus.until(&world, "count(ALERTS{alertname=\"PerimeterNotEnforcing\",interface=\"lan0\"})", 1.0);
    assert_eq!(prometheus.number(&world, "count(ALERTS{alertname=\"PerimeterDrift\"})"), None);
    assert!(prometheus.number(&world, "interface:perimeter_dropped:rate5m{interface=\"wan0\"}").is_some());
    let questions = dashboard();
    assert!(questions.len() > 15, "{questions:?}");
    for question in questions {
        prometheus.ask(&world, "query", &question).unwrap();
    }
}

/// Goal: every alert fires where it should. Method: promtool runs the unit tests beside the rules.
#[test]
fn the_alerts_pass_their_own_tests() {
    let Some(promtool) = tool("promtool") else { return };
    let run = |args: &[&str]| {
        let said = Command::new(&promtool).args(args).current_dir(monitoring()).output().unwrap();
        let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.success(), "promtool {args:?}: {words}");
    };
    run(&["check", "rules", "rules.yaml"]);
    run(&["check", "config", "prometheus.yaml"]);
    run(&["test", "rules", "rules.test.yaml", "rules.month.test.yaml"]);
}

/// Goal: no alert is without a test of its own. Method: each name of the rules stands in the tests.
#[test]
fn every_alert_has_a_test() {
    let read = |name: &str| std::fs::read_to_string(monitoring().join(name)).unwrap();
    let (rules, tests) = (read("rules.yaml"), read("rules.test.yaml") + &read("rules.month.test.yaml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        let fires = tests
            .split("- eval_time:")
            .skip(1)
            .any(|case| case.contains(&format!("alertname: {alert}\n")) && case.contains("exp_alerts:"));
        assert!(fires, "no test makes {alert} fire");
    }
}
