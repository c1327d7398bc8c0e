//! A running `sam2 review`, and the requests that its page sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sam2_mask_writer::Mask;
use serde_json::{Value, json};

use crate::support::{Running, Workshop, asset, asset_text};

/// A running server.
pub struct Server {
    pub running: Running,
    pub host: String,
    pub token: String,
}

/// What the server answered.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let told: Value = serde_json::from_slice(&self.body).unwrap();
        told["error"].as_str().unwrap().to_owned()
    }
}

impl Server {
    pub fn start(workshop: &Workshop, more: &[&str]) -> Self {
        Self::of(workshop.start_bare(&[&["review", "m.sam2run"], more].concat()))
    }

    /// Takes a server that was started otherwise.
    pub fn of(mut running: Running) -> Self {
        let address = running.line();
        let rest =
            address.strip_prefix("http://").unwrap_or_else(|| panic!("no address: {address:?}"));
        let (host, token) = rest.split_once('/').unwrap();
        // Behind it may be where the page opens.
        let token = token.split('#').next().unwrap();
        let (host, token) = (host.to_owned(), token.trim_end_matches('/').to_owned());
        assert_eq!(token.len(), 32);
        Self { running, host, token }
    }

    /// Returns the address of the page.
    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.host, self.token)
    }

    /// Sends a request and reads the whole reply.
    pub fn send(&self, request: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        // The server may refuse a large body without reading all of it.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("no reply") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: bytes.split_off(end) }
    }

    pub fn get(&self, path: &str) -> Reply {
        let Self { host, token, .. } = self;
        self.send(
            &format!("GET /{token}/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            &[],
        )
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, body.to_string().as_bytes(), "Content-Type: application/json\r\n")
    }

    pub fn post_with(&self, path: &str, body: &[u8], headers: &str) -> Reply {
        let Self { host, token, .. } = self;
        let head = format!(
            "POST /{token}/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&head, body)
    }

    pub fn state(&self) -> Value {
        self.get("state").json()
    }

    pub fn act(&self, action: Value) -> Value {
        let frame = action["frame"].clone();
        self.post("act", &json!({ "action": action, "frame": frame })).json()
    }

    /// Returns the masks of a frame, as the page has them.
    pub fn masks(&self, frame: u64) -> Vec<Mask> {
        let run = self.get("run").json();
        let [width, height] = ["width", "height"].map(|side| run[side].as_u64().unwrap() as u32);
        let told = self.get(&format!("masks/{frame}")).json();
        let mask = |object: &Value| {
            let runs = object["runs"].as_array().unwrap().iter();
            let runs = runs.map(|run| run.as_u64().unwrap() as u32).collect();
            Mask::from_runs(width, height, runs).unwrap()
        };
        told["objects"].as_array().unwrap().iter().map(mask).collect()
    }

    /// Returns a pixel in the middle of a mask on a frame. Objects are counted from 0.
    pub fn on_mask(&self, frame: u64, object: usize) -> (f64, f64) {
        let mask = &self.masks(frame)[object];
        let runs = mask.runs();
        let middle = runs.len() / 4 * 2;
        let at = runs[..=middle].iter().sum::<u32>() + runs[middle + 1] / 2;
        (f64::from(at % mask.width()) + 0.5, f64::from(at / mask.width()) + 0.5)
    }

    /// Waits until the state is as wanted.
    pub fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let state = self.state();
            if is_so(&state) {
                return state;
            }
            assert!(Instant::now() < deadline, "{what}: {state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn track(&self) {
        self.post("track", &json!({})).json();
        let done = self.until("tracked", |state| {
            state["tracking"].is_null() && state["stale"].as_array().unwrap().is_empty()
        });
        assert!(done["message"].is_null(), "{done}");
    }
}

/// Two mice that cross, prompted with their true masks on the first frame.
pub fn crossing() -> Workshop {
    let workshop = Workshop::new();
    std::fs::copy(asset("clips/two-crossing.mp4"), workshop.path("two.mp4")).unwrap();
    let masks = [1, 2].map(|object| {
        format!("0:{}:{object}", asset_text(&format!("clips/two-crossing-truth-{object}.tif")))
    });
    let command = ["segment", "two.mp4", "--passes", "nearest", "-o", "m.sam2run"];
    workshop
        .sam2(&[&command[..], &["--mask", &masks[0], "--mask", &masks[1]]].concat())
        .succeeded();
    workshop
}
