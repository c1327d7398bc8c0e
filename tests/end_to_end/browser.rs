//! A headless Chromium that acts on a page as a person would, controlled by its debugging protocol
//! over two pipes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Workshop;

/// A page that is open in the browser.
pub struct Page {
    browser: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    calls: u64,
}

impl Page {
    /// Opens a file of the workshop in a window of this size.
    pub fn open(
        browser: &Path,
        workshop: &Workshop,
        file: &str,
        (width, height): (u32, u32),
    ) -> Self {
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
        let mut page = Self { browser, to, from, session: None, calls: 0 };
        let url = format!("file://{}", workshop.path(file).display());
        let target = page.call("Target.createTarget", json!({ "url": url }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", target);
        page.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        let deadline = Instant::now() + Duration::from_secs(30);
        while page.value("document.readyState + document.documentElement?.className")
            != "completejs"
        {
            assert!(Instant::now() < deadline, "the page's script does not run");
            std::thread::sleep(Duration::from_millis(20));
        }
        page
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
        let mut send = |kind: &str, pressed: u32| {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": if pressed > 0 { "left" } else { "none" }, "clickCount": pressed,
            });
            self.call("Input.dispatchMouseEvent", event);
        };
        send("mouseMoved", 0);
        if click {
            send("mousePressed", 1);
            send("mouseReleased", 1);
        }
    }

    /// Presses a key, such as Enter, on the focused element.
    pub fn press(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
