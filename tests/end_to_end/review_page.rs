//! The page of `sam2 review` in a real browser, used as a person uses it: pointer and keys.

use std::path::Path;

use serde_json::{Value, json};

use crate::browser::{self, Page};
use crate::review_server::{Server, crossing};
use crate::support::Workshop;

/// The page of a running server.
pub struct Review {
    pub page: Page,
}

impl Review {
    pub fn open(browser: &Path, workshop: &Workshop, server: &Server, window: (u32, u32)) -> Self {
        let mut review = Self { page: Page::start(browser, workshop, window) };
        review.show(&server.address());
        review
    }

    /// Goes to an address, and waits until a frame is on display.
    fn show(&mut self, address: &str) {
        self.page.go("about:blank");
        self.page.go(address);
        self.page.until("document.body?.classList.contains('open') === true");
        self.until("s.shown >= 0 && s.queue !== null");
    }

    /// Waits until an expression of the page's store `s` is true.
    pub fn until(&mut self, expression: &str) {
        self.page
            .until(&format!("(() => {{ const s = sam2Review.store; return {expression}; }})()"));
    }

    pub fn store(&mut self, expression: &str) -> Value {
        self.page
            .value(&format!("(() => {{ const s = sam2Review.store; return {expression}; }})()"))
    }

    /// Waits until everything that was done has been answered.
    pub fn idle(&mut self) {
        self.until("!s.busy && !s.waiting && s.drafts.size === 0");
    }

    /// Goes to a frame by its number field.
    fn frame(&mut self, frame: u64) {
        self.page.keys("j");
        self.page.value("document.getElementById('frame-field').select()");
        self.page.write(&frame.to_string());
        self.page.keys("Enter");
        self.until(&format!("s.shown === {frame}"));
    }

    /// Returns where a pixel of the recording lies in the window.
    fn place(&mut self, (x, y): (f64, f64)) -> (f64, f64) {
        let found = self.page.value(&format!(
            "import(location.href.replace(/[#?].*/, '') + 'canvas.js').then(({{ view }}) => {{ \
             const b = document.getElementById('stage').getBoundingClientRect(); \
             return [b.x + view.x + {x} * view.scale, b.y + view.y + {y} * view.scale]; }})"
        ));
        (found[0].as_f64().unwrap(), found[1].as_f64().unwrap())
    }

    pub fn click(&mut self, pixel: (f64, f64), button: &str) {
        let at = self.place(pixel);
        self.page.click(at, button);
    }

    fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (from, to) = (self.place(from), self.place(to));
        self.page.drag(from, to);
    }

    /// Clicks a button by its selector.
    fn press(&mut self, selector: &str) {
        self.page.point_at(selector, true);
    }
}

/// Returns the prompt of an object on a frame.
fn prompt(server: &Server, frame: u64, object: u64) -> Value {
    let state = server.state();
    let prompts = state["prompts"].as_array().unwrap();
    let found = prompts.iter().find(|p| p["frame"] == frame && p["object"] == object);
    found.cloned().unwrap_or(Value::Null)
}

#[test]
fn a_run_is_corrected_by_hand_survives_a_kill_and_equals_the_command_line() {
    let Some(browser) = browser::installed() else { return };
    let workshop = crossing();
    workshop.write("copy.sam2run", workshop.read("m.sam2run"));
    let server = Server::start(&workshop, &[]);
    let mut review = Review::open(&browser, &workshop, &server, (1280, 860));
    assert_eq!(review.store("s.state.objects.length"), json!(2));
    let last = review.store("s.run.last").as_u64().unwrap();

    // The first animal is where the page thinks that the second one is; the second candidate is taken.
    review.page.keys("End");
    review.until(&format!("s.shown === {last}"));
    review.page.keys("a");
    let wrong = server.on_mask(last, 1);
    review.click(wrong, "left");
    review.idle();
    review.page.until("document.querySelectorAll('#candidates .candidate').length === 3");
    review.page.picture("review-click.png");
    review.page.keys("2");
    review.idle();
    let made = prompt(&server, last, 1);
    assert_eq!(made["candidate"], json!(1));
    let [x, y] = ["x", "y"].map(|axis| made["points"][0][axis].as_f64().unwrap());
    assert!((x - wrong.0).abs() < 1.0 && (y - wrong.1).abs() < 1.0, "{made} for {wrong:?}");
    assert_eq!(made["points"][0]["positive"], json!(true));
    review.page.keys("Escape");
    review.until("s.candidates === null");

    // Track again, compare with before, lock, undo, redo.
    review.until("s.state.stale.length > 0");
    review.page.keys("t");
    review.until("s.state.tracking === null && s.state.stale.length === 0");
    review.page.key("x", "rawKeyDown");
    review.until("s.before");
    review.page.key("x", "keyUp");
    review.until("!s.before");
    review.frame(3);
    review.page.keys("g");
    review.idle();
    let locks = json!([{ "object": null, "first": 0, "last": 3 }]);
    assert_eq!(server.state()["locks"], locks);
    review.page.keys("Control+z");
    review.idle();
    assert_eq!(server.state()["locks"], json!([]));
    review.page.keys("Control+y");
    review.idle();
    let before = server.state();
    assert_eq!(before["locks"], locks);
    review.page.is_sound();

    // The server is killed: the page says so, and makes no changes that would be lost.
    server.running.stop("KILL");
    review.until("!s.online");
    review.page.keys("g");
    review
        .page
        .until("document.getElementById('toasts').textContent.includes('Nothing was changed')");
    review.page.picture("review-killed.png");
    let server = Server::start(&workshop, &[]);
    review.show(&format!("{}#frame={last}&object=2", server.address()));
    assert_eq!((review.store("s.shown"), review.store("s.selected")), (json!(last), json!(2)));
    for same in ["prompts", "locks", "stale", "changed", "objects", "nextUndo", "revision"] {
        assert_eq!(review.store(&format!("s.state.{same}")), before[same], "{same}");
    }

    // Export from the page; the same corrections on the command line give the same file.
    review.page.keys("Shift+E");
    review.page.until("document.getElementById('export').open");
    review.page.value("document.getElementById('export-path').select()");
    review.page.write(workshop.path("page.btf").to_str().unwrap());
    review.page.keys("Enter");
    review.page.until("document.querySelector('#export-result .good') !== null");
    review.page.picture("review-export.png");
    let command = review.page.value("document.querySelector('#export-result code').textContent");
    assert!(command.as_str().unwrap().starts_with("sam2 merge "), "{command}");
    let prompts = server.get("prompts.json");
    workshop.write("prompts.json", &prompts.body);
    let command = ["correct", "copy.sam2run", "--prompts", "prompts.json", "-o", "command.btf"];
    workshop.sam2(&command).succeeded();
    assert!(workshop.read("page.btf") == workshop.read("command.btf"));
    review.page.is_sound();
}

#[test]
fn every_tool_of_the_page_reaches_the_run() {
    let Some(browser) = browser::installed() else { return };
    let workshop = crossing();
    let server = Server::start(&workshop, &[]);
    let mut review = Review::open(&browser, &workshop, &server, (1280, 860));
    let last = review.store("s.run.last").as_u64().unwrap();

    // Clicks of both kinds; a point is chosen and deleted.
    let frame = last / 2;
    review.frame(frame);
    review.page.keys("a");
    let at = server.on_mask(frame, 0);
    review.click(at, "left");
    review.click((10.0, 12.0), "right");
    review.idle();
    let made = prompt(&server, frame, 1);
    let signs = |prompt: &Value| -> Vec<bool> {
        let points = prompt["points"].as_array().unwrap();
        points.iter().map(|point| point["positive"].as_bool().unwrap()).collect()
    };
    assert_eq!(signs(&made), [true, false]);
    review.page.keys("Escape");
    review.page.keys("a");
    review.click((10.0, 12.0), "left");
    review.page.until("!document.getElementById('delete-mark').hidden");
    review.page.keys("Delete");
    review.idle();
    assert_eq!(signs(&prompt(&server, frame, 1)), [true]);
    // The whole prompt is cleared, and comes back.
    review.page.keys("Delete");
    review.idle();
    assert_eq!(prompt(&server, frame, 1), Value::Null);
    review.page.keys("Control+z");
    review.idle();
    assert_eq!(signs(&prompt(&server, frame, 1)), [true]);

    // A box; then a painted mask, which the eraser makes smaller.
    review.frame(frame + 1);
    review.page.keys("w");
    review.drag((20.0, 30.0), (70.0, 60.0));
    review.idle();
    let made = prompt(&server, frame + 1, 1);
    let sides: Vec<f64> =
        made["box"].as_array().unwrap().iter().map(|side| side.as_f64().unwrap()).collect();
    let differences = sides.iter().zip([20.0, 30.0, 70.0, 60.0]).map(|(a, b)| (a - b).abs());
    assert!(differences.fold(0.0, f64::max) < 1.0, "{sides:?}");
    review.frame(frame + 2);
    review.page.keys("q");
    review.press("#start-empty");
    review.drag((40.0, 40.0), (80.0, 40.0));
    review.idle();
    let area = |frame: u64| {
        server.get(&format!("masks/{frame}")).json()["objects"][0]["area"].as_u64().unwrap()
    };
    let painted = area(frame + 2);
    assert!((300..900).contains(&painted), "{painted} pixels for a stroke of 40 by 12");
    assert_eq!(prompt(&server, frame + 2, 1)["mask"], json!(true));
    review.page.keys("e");
    review.drag((40.0, 40.0), (60.0, 40.0));
    review.idle();
    assert!(area(frame + 2) < painted - 100, "{} of {painted}", area(frame + 2));

    // Objects: a hostile name is text; another tab's change is seen; absent, swapped, deleted, merged.
    let hostile = "<img src=x onerror=alert(1)>";
    review.page.keys("F2");
    review.page.write(hostile);
    review.page.keys("Enter");
    review.idle();
    assert_eq!(server.state()["objects"][0]["name"], json!(hostile));
    assert_eq!(
        review.page.value("document.querySelectorAll('#objects-list img').length"),
        json!(0)
    );
    server.act(json!({ "type": "name", "object": 2, "name": "from another tab" }));
    review
        .page
        .until("document.getElementById('objects-list').textContent.includes('from another tab')");
    review.page.keys("Shift+A");
    review.idle();
    let state = server.state();
    assert_eq!(state["absent"], json!([{ "object": 1, "first": frame + 2, "last": frame + 2 }]));
    review.page.keys("Shift+X");
    review.page.until("document.querySelector('.menu') !== null");
    review.page.keys("Enter");
    review.idle();
    assert!(
        server.state()["nextUndo"].as_str().unwrap().contains("exchanged"),
        "{}",
        server.state()
    );
    let corrected = |frame: u64, object: u64| prompt(&server, frame, object)["corrected"].clone();
    assert_eq!(
        [corrected(0, 2), corrected(frame, 1), corrected(frame + 2, 2)],
        [json!(false), json!(true), json!(true)]
    );
    // A new object, by a click.
    review.frame(2);
    review.page.keys("o");
    let at = server.on_mask(2, 1);
    review.click(at, "left");
    review.idle();
    assert_eq!(server.state()["objects"].as_array().unwrap().len(), 3);
    assert_eq!(review.store("s.selected"), json!(3));
    review.page.keys("Escape");
    review.press("#act-delete");
    review.page.until("document.querySelector('.menu') !== null");
    for _ in 0..2 {
        review.page.keys("ArrowDown");
    }
    review.page.keys("Enter");
    review.idle();
    let deleted = &server.state()["deleted"];
    assert_eq!(deleted[0]["object"], json!(3), "{deleted}");
    // What is stale cannot be locked; then a span of the timeline is.
    review.page.keys("g");
    review
        .page
        .until("document.getElementById('toasts').textContent.includes('Nothing was changed')");
    review.page.keys("t");
    review.until("s.state.tracking === null && s.state.stale.length === 0");
    review.frame(4);
    review.page.keys("[");
    review.frame(6);
    review.page.keys("]");
    review.until("s.span?.first === 4 && s.span.last === 6");
    review.page.picture("review-tools.png");
    review.press("#span-lock");
    review.idle();
    assert_eq!(server.state()["locks"][0]["last"], json!(6), "{}", server.state()["locks"]);

    // The queue, and back to the beginning by the history.
    let total = review.store("s.queue.total").as_u64().unwrap();
    assert!(total > 0, "a run with wrong clicks has flags");
    review.page.keys("Escape");
    review.page.keys("n");
    review.page.keys("r");
    review.idle();
    assert_eq!(server.get("queue").json()["reviewed"].as_u64().map(|n| n > 0), Some(true));
    review.page.keys("y");
    review.page.until("document.querySelectorAll('#history-list .entry').length > 8");
    review.page.picture("review-history.png");
    server.act(json!({ "type": "return", "to": 0 }));
    review.until("!s.state.canUndo && s.state.prompts.every(one => !one.corrected)");
    review.page.is_sound();
}

#[test]
fn the_page_can_be_read_on_a_phone_and_without_a_recording() {
    let Some(browser) = browser::installed() else { return };
    let workshop = crossing();
    std::fs::remove_file(workshop.path("two.mp4")).unwrap();
    let server = Server::start(&workshop, &["--read-only"]);
    let mut review = Review::open(&browser, &workshop, &server, (390, 840));
    review.page.keys("ArrowRight");
    review.until("s.shown === 1");
    assert_eq!(review.store("s.run.hasPictures"), json!(false));
    let wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(review.page.value(wide), json!(0), "the page is wider than a phone");
    assert_eq!(review.page.value("document.getElementById('track').disabled"), json!(true));
    review.page.picture("review-phone.png");
    review.page.is_sound();
}
