//! What is answered to which request.
//!
//! Promises: GET only; nothing is told to who does not know the token, but that the agent lives. On loopback without a token a
//! request must name this machine as its host, so that a page from elsewhere cannot read this one through a browser.

use std::net::IpAddr;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use super::access::{Access, Token};
use super::{Answer, Pulse, Question, Reply, page};
use crate::telemetry::{self, Exposition, Snapshot};

/// How long the kernel may take to say what it does.
const LONGEST_READING: Duration = Duration::from_secs(8);

/// After how long without a look at the kernel the agent counts as dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// What every request shares.
struct Shared {
    pulse: Arc<Pulse>,
    questions: SyncSender<Question>,
    exposition: Mutex<Exposition>,
    token: Option<Token>,
    is_local: bool,
    /// What a browser may do with the page.
    page_policy: HeaderValue,
}

type App = State<Arc<Shared>>;

/// All that is answered.
pub(super) fn router(access: &Access, questions: SyncSender<Question>, pulse: Arc<Pulse>) -> Router {
    let exposition = Mutex::new(Exposition::new());
    let (token, is_local) = (access.token, access.is_local);
    let page_policy = HeaderValue::from_str(&page::content_security_policy()).expect("it is plain ASCII");
    let shared = Arc::new(Shared { pulse, questions, exposition, token, is_local, page_policy });
    let told = Router::new()
        .route("/", get(document))
        .route("/page.json", get(page_data))
        .route("/metrics", get(metrics))
        .route("/readyz", get(ready))
        .route_layer(middleware::from_fn_with_state(shared.clone(), admit));
    Router::new()
        .route("/healthz", get(health))
        .merge(told)
        .layer(middleware::map_response(guard_headers))
        .with_state(shared)
}

/// Lets in who may ask.
async fn admit(State(shared): App, request: Request, next: Next) -> Response {
    match refusal(&shared, request.headers()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Why somebody may not ask.
fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(token) = shared.token {
        let knows = header(AUTHORIZATION).is_some_and(|header| token.is_in(header));
        let ways = [(WWW_AUTHENTICATE, "Basic realm=\"perimeter: any name, the token as password\"")];
        let refused = (StatusCode::UNAUTHORIZED, ways, "the token is missing or wrong\n");
        return (!knows).then(|| refused.into_response());
    }
    let strange = shared.is_local && !header(HOST).is_some_and(names_this_machine);
    strange.then(|| (StatusCode::FORBIDDEN, "ask for 127.0.0.1 or localhost\n").into_response())
}

/// Whether a `Host` header is an address or `localhost`, which no stranger's name can resolve to.
fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

async fn guard_headers(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the kernel says now.
async fn ask<T>(shared: &Shared, question: fn(Reply<T>) -> Question) -> Answer<T> {
    let (reply, answered) = oneshot::channel();
    shared.questions.try_send(question(reply)).map_err(|error| match error {
        TrySendError::Full(_) => "too many requests wait for the kernel's answer".to_owned(),
        TrySendError::Disconnected(_) => "the agent is stopping".to_owned(),
    })?;
    match tokio::time::timeout(LONGEST_READING, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err("the agent is stopping".to_owned()),
        Err(_) => Err(format!("the kernel did not answer in {} s", LONGEST_READING.as_secs())),
    }
}

fn unavailable(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

async fn metrics(State(shared): App) -> Response {
    let text = match ask(&shared, Question::State).await {
        Ok(snapshot) => {
            let mut exposition = shared.exposition.lock().unwrap_or_else(PoisonError::into_inner);
            exposition.text(&snapshot).map_err(|error| error.to_string())
        }
        Err(why) => Err(why),
    };
    match text {
        Ok(text) => ([(CONTENT_TYPE, telemetry::CONTENT_TYPE)], text).into_response(),
        Err(why) => unavailable(&why),
    }
}

async fn document(State(shared): App) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, shared.page_policy.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, page::HTML).into_response()
}

async fn page_data(State(shared): App) -> Response {
    match ask(&shared, Question::Page).await {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(why) => unavailable(&why),
    }
}

/// The agent lives: it has looked at the kernel lately. Everybody may ask, so it costs nothing.
async fn health(State(shared): App) -> Response {
    let age = shared.pulse.age();
    if age < LONGEST_SILENCE {
        return "alive\n".into_response();
    }
    unavailable(&format!("the kernel was last looked at {} s ago; the agent's log says why", age.as_secs()))
}

/// What should be enforced is enforced.
async fn ready(State(shared): App) -> Response {
    match ask(&shared, Question::State).await.map(|snapshot| unready(&snapshot)) {
        Ok(why) if why.is_empty() => "ready: what was put in force is in force\n".into_response(),
        Ok(why) => unavailable(&why.join("\n")),
        Err(why) => unavailable(&why),
    }
}

/// Why what should be enforced is not; nothing where it is.
fn unready(snapshot: &Snapshot) -> Vec<String> {
    let status = &snapshot.status;
    let drifts = status.interfaces.iter().flat_map(|one| {
        one.drift.iter().map(|drift| format!("{}: {drift}", one.interface)).collect::<Vec<_>>()
    });
    let mut why: Vec<String> = drifts.collect();
    if status.interfaces.is_empty() {
        why.push("no interface is enforced".to_owned());
    } else if why.is_empty() && !status.in_sync {
        why.push("a generation on trial was not taken back in time".to_owned());
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::snapshot;

    #[test]
    fn only_this_machine_s_names_are_taken_on_loopback() {
        for own in ["127.0.0.1:9765", "localhost", "LOCALHOST:1", "[::1]:9765", "[::1]", "192.0.2.1:80"] {
            assert!(names_this_machine(own), "{own}");
        }
        for strange in ["", "evil.example", "evil.example:9765", "localhost.evil.example", "127.0.0.1.evil:1"]
        {
            assert!(!names_this_machine(strange), "{strange}");
        }
    }

    #[test]
    fn ready_is_what_is_in_sync() {
        assert_eq!(unready(&snapshot()), Vec::<String>::new());
        let mut other = snapshot();
        other.status.interfaces[0].drift.push("nothing is attached".into());
        assert_eq!(unready(&other), ["wan0: nothing is attached"]);
        other.status.interfaces.clear();
        assert_eq!(unready(&other), ["no interface is enforced"]);
    }
}
