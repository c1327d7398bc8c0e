//! A headless Chromium that acts on a page as a person would, controlled by its debugging protocol
//! over two pipes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::Workshop;

/// Returns the path of Chromium, if this machine has it. `SAM2_TEST_BROWSER` names a browser that
/// must exist.
pub fn installed() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SAM2_TEST_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    let found = found.into_iter().find(|file| file.exists());
    if found.is_none() {
        println!("left out: this machine has no Chromium, and SAM2_TEST_BROWSER names none");
    }
    found
}

/// A page that is open in the browser.
pub struct Page {
    browser: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    calls: u64,
    /// What the browser had to say of the page: exceptions, refused resources.
    problems: Vec<Value>,
}

impl Page {
    /// Opens a file of the workshop in a window of this size.
    pub fn open(browser: &Path, workshop: &Workshop, file: &str, size: (u32, u32)) -> Self {
        let mut page = Self::start(browser, workshop, size);
        page.go(&format!("file://{}", workshop.path(file).display()));
        page.until("document.readyState + document.documentElement?.className === 'completejs'");
        page
    }

    /// Starts a browser with an empty page in a window of this size.
    pub fn start(browser: &Path, workshop: &Workshop, (width, height): (u32, u32)) -> Self {
        let (to, from) = (workshop.path("tmp/to-browser"), workshop.path("tmp/from-browser"));
        for pipe in [&to, &from] {
            let _ = std::fs::remove_file(pipe);
            assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
        }
        // The pipes of the protocol are descriptors 3 and 4; a shell opens them.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "to=$1; from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([&to, &from])
            .arg(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", workshop.folder("tmp/profile").display()))
            .arg("about:blank");
        let browser = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let browser = browser.spawn().unwrap();
        let to = File::options().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let mut page = Self { browser, to, from, session: None, calls: 0, problems: Vec::new() };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", target);
        page.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Runtime", "Log", "Page"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page
    }

    /// Goes to an address.
    pub fn go(&mut self, address: &str) {
        let answer = self.call("Page.navigate", json!({ "url": address }));
        assert!(answer["errorText"].is_null(), "{address}: {answer}");
    }

    /// Waits until an expression in the page is true.
    pub fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.value(expression) != true {
            assert!(Instant::now() < deadline, "{expression}; {:?}", self.problems);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Checks that the browser found nothing wrong with the page. Lost connections and refused requests do not count.
    pub fn is_sound(&mut self) {
        assert!(self.problems.is_empty(), "{:#?}", self.problems);
    }

    /// Notes an event that tells of a problem.
    fn note(&mut self, event: &Value) {
        let entry = &event["params"]["entry"];
        let is_wrong = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => entry["level"] == "error" && entry["source"] != "network",
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        if is_wrong {
            self.problems.push(event["params"].clone());
        }
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = Vec::new();
            let length = self.from.read_until(0, &mut answer).unwrap();
            assert!(length > 0, "the browser has ended");
            let answer: Value = serde_json::from_slice(
                answer.trim_ascii_end().strip_suffix(b"\0").unwrap_or(&answer),
            )
            .unwrap();
            // Events arrive between the answers.
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    /// Returns the value of an expression in the page; waits for promises.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Moves the pointer to the middle of an element, and clicks there if `click` is set.
    pub fn point_at(&mut self, selector: &str, click: bool) {
        let place = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        );
        let place = self.value(&place);
        let at = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
        self.move_to(at);
        if click {
            self.click(at, "left");
        }
    }

    /// Moves the pointer to a place of the window.
    pub fn move_to(&mut self, at: (f64, f64)) {
        self.mouse("mouseMoved", at, "none", 0);
    }

    /// Clicks at a place of the window with the `left`, `middle` or `right` button.
    pub fn click(&mut self, at: (f64, f64), button: &str) {
        self.move_to(at);
        self.mouse("mousePressed", at, button, 1);
        self.mouse("mouseReleased", at, button, 1);
    }

    /// Drags from one place of the window to another with the left button.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.move_to(from);
        self.mouse("mousePressed", from, "left", 1);
        for step in 1..=4 {
            let share = f64::from(step) / 4.0;
            let at = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            self.mouse("mouseMoved", at, "left", 1);
        }
        self.mouse("mouseReleased", to, "left", 1);
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), button: &str, clicks: u32) {
        let held = u32::from(kind == "mouseMoved" && clicks > 0);
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": held, "clickCount": clicks });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Presses keys, such as `Control+Shift+z` or `Enter`, on the focused element.
    pub fn keys(&mut self, chord: &str) {
        for kind in ["rawKeyDown", "keyUp"] {
            self.key(chord, kind);
        }
    }

    /// Presses (`rawKeyDown`) or releases (`keyUp`) keys.
    pub fn key(&mut self, chord: &str, kind: &str) {
        let mut parts: Vec<&str> = chord.split('+').collect();
        let key = parts.pop().unwrap();
        let bit = |name: &&str| match *name {
            "Alt" => 1,
            "Control" => 2,
            "Shift" => 8,
            other => panic!("no modifier: {other}"),
        };
        let modifiers: u32 = parts.iter().map(bit).sum();
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            _ => 0,
        };
        let mut event = json!({ "type": kind, "key": key, "code": key, "modifiers": modifiers, "windowsVirtualKeyCode": code });
        // Keys that write something.
        let text = match key {
            "Enter" => "\r",
            _ if key.chars().count() == 1 && modifiers & 3 == 0 => key,
            _ => "",
        };
        if !text.is_empty() && kind == "rawKeyDown" {
            event["type"] = json!("keyDown");
            event["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Writes text into the focused field.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Saves a picture of the window, to be looked at.
    pub fn picture(&mut self, name: &str) {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), bytes).unwrap();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
