//! Addresses, and who may ask.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use subtle::ConstantTimeEq;

use crate::assets::asset;
use crate::desk::Desk;
use crate::error::ReviewError;
use crate::machine::machine;
use crate::{acts, answers};

/// Where the page is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of this machine to listen on.
    pub address: IpAddr,
    /// The port; 0 = a free one.
    pub port: u16,
}

impl Default for Place {
    /// This machine only, on a free port.
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST.into(), port: 0 }
    }
}

/// Largest request: a mask of a picture with a million runs.
const LARGEST_REQUEST: usize = 8 << 20;
/// How long a request may take to arrive.
const SLOWEST_REQUEST: Duration = Duration::from_secs(30);

/// What decides who may ask.
#[derive(Clone)]
struct Gate {
    token: Arc<str>,
    /// The names under which this server is known.
    hosts: Arc<[String]>,
}

/// Serves the page until `stop` returns true. `ready` is told the port and the address of the page as soon as
/// it can be opened.
///
/// # Errors
/// [`ReviewError::Listen`], [`ReviewError::Serve`], [`ReviewError::Random`].
pub fn serve(
    desk: Arc<Desk>,
    place: Place,
    ready: impl FnOnce(u16, &str),
    stop: impl Fn() -> bool + Send + 'static,
) -> Result<(), ReviewError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ReviewError::Serve)?;
    runtime.block_on(async move {
        let address = SocketAddr::new(place.address, place.port);
        let listen = |source| ReviewError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let port = listener.local_addr().map_err(ReviewError::Serve)?.port();
        let token = token()?;
        let names = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
        let own = match place.address {
            IpAddr::V6(address) => format!("[{address}]"),
            IpAddr::V4(address) => address.to_string(),
        };
        let mut hosts: Vec<String> = names.into_iter().chain([own]).collect();
        if !place.address.is_loopback() {
            hosts.extend(machine());
        }
        let hosts = hosts.iter().map(|name| format!("{name}:{port}").to_lowercase()).collect();
        let gate = Gate { token: token.as_str().into(), hosts };
        ready(port, &format!("http://{}:{port}/{token}/", shown_address(place.address)));
        let stopped = async move {
            while !stop() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        axum::serve(listener, router(desk, gate))
            .with_graceful_shutdown(stopped)
            .await
            .map_err(ReviewError::Serve)
    })
}

/// Returns the address by which the page is opened.
fn shown_address(address: IpAddr) -> String {
    match address {
        address if address.is_unspecified() => machine().unwrap_or_else(|| "127.0.0.1".to_owned()),
        IpAddr::V6(address) => format!("[{address}]"),
        IpAddr::V4(address) => address.to_string(),
    }
}

/// Returns a random token of 128 bits.
fn token() -> Result<String, ReviewError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(ReviewError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn router(desk: Arc<Desk>, gate: Gate) -> Router {
    Router::new()
        .route("/{token}", get(to_folder))
        .route("/{token}/", get(page))
        .route("/{token}/{file}", get(file))
        .route("/{token}/run", get(answers::run))
        .route("/{token}/state", get(answers::state))
        .route("/{token}/lanes", get(answers::lanes))
        .route("/{token}/queue", get(answers::queue))
        .route("/{token}/history", get(answers::history))
        .route("/{token}/prompts.json", get(answers::prompts))
        .route("/{token}/frame/{name}", get(answers::frame))
        .route("/{token}/masks/{frame}", get(answers::masks))
        .route("/{token}/events", get(answers::events))
        .route("/{token}/act", post(acts::act))
        .route("/{token}/track", post(acts::track))
        .route("/{token}/stop", post(acts::stop))
        .route("/{token}/warm", post(acts::warm))
        .route("/{token}/export", post(acts::export))
        .fallback(nothing)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(gate, guard))
        .with_state(desk)
}

/// Lets a request through if it has the token, if it was addressed to this server by one of its names, and
/// if it does not come from a page of somebody else.
async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let answer = match admitted(&gate, &request) {
        Ok(()) => match arrived(request).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused.into_response(),
        },
        Err(refused) => refused.into_response(),
    };
    with_headers(answer)
}

/// Reads a request as a whole, in bounded time and memory. What is computed for it may take longer.
async fn arrived(request: Request) -> Result<Request, ReviewError> {
    let (head, body) = request.into_parts();
    let read = axum::body::to_bytes(body, LARGEST_REQUEST);
    match tokio::time::timeout(SLOWEST_REQUEST, read).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(head, Body::from(bytes))),
        Ok(Err(_)) => Err(ReviewError::TooLarge),
        Err(_) => Err(ReviewError::Request("the request took too long to arrive".into())),
    }
}

fn admitted(gate: &Gate, request: &Request) -> Result<(), ReviewError> {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A foreign name that was made to lead here (DNS rebinding) is not one of ours.
    let host = text(header::HOST).map(str::to_lowercase).unwrap_or_default();
    if !gate.hosts.contains(&host) {
        return Err(ReviewError::Forbidden("this server is not known under that name"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let own = format!("http://{host}");
        if origin.to_str().ok().map(str::to_lowercase) != Some(own) {
            return Err(ReviewError::Forbidden("another page may not ask this server"));
        }
    }
    if request.method() == Method::POST && !is_json(headers) {
        return Err(ReviewError::Request("requests are JSON".into()));
    }
    let given = request.uri().path().split('/').nth(1).unwrap_or_default();
    match bool::from(given.as_bytes().ct_eq(gate.token.as_bytes())) {
        true => Ok(()),
        false => Err(ReviewError::Forbidden(
            "the token in the address is wrong: take the address that `sam2 review` printed last",
        )),
    }
}

/// Forms of other pages cannot send this type without being asked for first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().is_some_and(|k| k.trim() == "application/json"))
}

fn with_headers(mut answer: Response) -> Response {
    let fixed = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in fixed {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let cache = HeaderValue::from_static("no-store");
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(cache);
    answer
}

async fn to_folder(Path(token): Path<String>) -> Redirect {
    Redirect::permanent(&format!("/{token}/"))
}

async fn page() -> Result<Response, ReviewError> {
    named("index.html")
}

async fn file(Path((_, name)): Path<(String, String)>) -> Result<Response, ReviewError> {
    named(&name)
}

async fn nothing() -> ReviewError {
    ReviewError::NotThere("there is nothing at this address".into())
}

fn named(name: &str) -> Result<Response, ReviewError> {
    let missing = || ReviewError::NotThere(format!("there is no '{}' here", name.escape_debug()));
    let (bytes, kind) = asset(name).ok_or_else(missing)?;
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}
