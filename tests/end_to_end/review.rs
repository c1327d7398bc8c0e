//! `sam2 review`: what its server answers, what it refuses, and that nothing is lost.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::review_server::{Server, crossing};
use crate::support::{Workshop, asset};

#[test]
fn a_page_answers_to_those_who_may_ask_and_to_nobody_else() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    workshop.segment_to("m.sam2run", "mouse.mkv", &["--point", "0:122,40"]);
    let server = Server::start(&workshop, &[]);
    let Server { host, token, .. } = &server;
    let page = server.get("");
    assert_eq!(page.status, 200);
    let head = page.head.to_lowercase();
    for told in
        ["content-security-policy: default-src 'none'", "nosniff", "no-referrer", "no-store"]
    {
        assert!(head.contains(told), "{told}: {head}");
    }
    assert_eq!(server.get("page.js").status, 200);
    assert_eq!(server.get("frame/3.jpg").body[..2], [0xff, 0xd8]);
    server.get("frame/6.jpg").refused(404);
    server.get("frame/-1.jpg").refused(404);
    server.get("frame/3.jpg?low=1&high=0").refused(400);
    server.get("masks/6").refused(404);
    server.get("../Cargo.toml").refused(404);
    server.get("..%2f..%2fetc%2fpasswd").refused(404);
    server.get("nothing.js").refused(404);
    assert_eq!(server.get("lanes?first=0&last=5").status, 400);
    let lanes = server.get("lanes?first=0&last=5&buckets=100").json();
    assert_eq!((&lanes["buckets"], &lanes["flagNames"][0]), (&json!(6), &json!("lost")));
    server.get("lanes?first=9&last=12&buckets=4").refused(400);
    let run = server.get("run").json();
    assert_eq!(
        (&run["frames"], &run["width"], &run["readOnly"]),
        (&json!(6), &json!(192), &Value::Null)
    );
    let masks = server.get("masks/3").json();
    let runs = masks["objects"][0]["runs"].as_array().unwrap();
    let pixels: u64 = runs.iter().map(|run| run.as_u64().unwrap()).sum();
    assert_eq!(pixels, 192 * run["height"].as_u64().unwrap());

    // Nobody else: a wrong token, a name that was made to lead here, a page of somebody else.
    let ask = |path: &str, headers: &str| {
        server.send(&format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"), &[])
    };
    let own = format!("Host: {host}\r\n");
    ask("/", &own).refused(403);
    let other = if token.ends_with('0') { '1' } else { '0' };
    ask(&format!("/{}{other}/", &token[..31]), &own).refused(403);
    ask(&format!("/{token}0/state"), &own).refused(403);
    let path = format!("/{token}/state");
    assert_eq!(ask(&path, &own).status, 200);
    let port = host.rsplit(':').next().unwrap();
    assert_eq!(ask(&path, &format!("Host: localhost:{port}\r\n")).status, 200);
    ask(&path, &format!("Host: evil.example:{port}\r\n")).refused(403);
    ask(&path, "Host: 127.0.0.1\r\n").refused(403);
    ask(&path, &format!("{own}Origin: http://evil.example\r\n")).refused(403);
    ask(&path, &format!("{own}Origin: null\r\n")).refused(403);
    assert_eq!(ask(&path, &format!("{own}Origin: http://{host}\r\n")).status, 200);
    // Forms, bodies that are too large or are not what they should be.
    let act = json!({ "action": { "type": "undo" } }).to_string();
    server.post_with("act", act.as_bytes(), "Content-Type: text/plain\r\n").refused(400);
    server.post_with("act", act.as_bytes(), "").refused(400);
    let large = vec![b' '; 9 << 20];
    let refused = server.post_with("act", &large, "Content-Type: application/json\r\n");
    assert!([400, 413].contains(&refused.status), "{}", refused.head);
    for wrong in [
        "",
        "{",
        "[]",
        "{\"action\":{\"type\":\"fly\"}}",
        "{\"action\":{\"type\":\"undo\"},\"x\":1}",
    ] {
        server
            .post_with("act", wrong.as_bytes(), "Content-Type: application/json\r\n")
            .refused(400);
    }
    a_crowd_is_no_harm(&server);
    let outcome = server.running.stop("INT");
    assert!(outcome.code == Some(0), "{}", outcome.stderr);
}

/// A thousand connections that say nothing, from a process that may have so many files.
fn a_crowd_is_no_harm(server: &Server) {
    let script = "ulimit -n $(ulimit -Hn); for i in $(seq 1000); do exec {f}<>/dev/tcp/127.0.0.1/$0 || exit; done; echo $i; read";
    let port = server.host.rsplit(':').next().unwrap();
    let mut crowd = Command::new("bash")
        .args(["-c", script, port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = [0; 5];
    crowd.stdout.as_mut().unwrap().read_exact(&mut told).unwrap();
    assert_eq!(told, *b"1000\n");
    // The server has this process's limit of open files. With a lower one, it takes further connections when others end.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: u64 = files.split_whitespace().nth(3).unwrap().parse().unwrap();
    if files > 1100 {
        assert_eq!(server.get("state").status, 200);
    }
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
    assert_eq!(server.get("state").status, 200);
}

#[test]
fn corrections_in_the_page_are_those_of_the_command_line_and_survive_a_kill() {
    let workshop = crossing();
    workshop.write("copy.sam2run", workshop.read("m.sam2run"));
    let last = 59;
    let server = Server::start(&workshop, &["--who", "ada"]);
    let before = server.state();
    assert_eq!((&before["revision"], &before["canUndo"]), (&json!(0), &json!(false)));
    let frames = server.get("run").json()["frames"].as_u64().unwrap() as usize;
    let last = last.min(frames - 1);
    // A pixel of the second animal, as if the two had been mistaken for each other.
    let (x, y) = server.on_mask(last as u64, 1);
    let points = json!([{ "x": x, "y": y, "positive": true }]);
    let click = json!({ "type": "prompt", "object": 1, "frame": last, "points": points });
    let done = server.act(click.clone());
    assert_eq!(done["candidates"].as_array().unwrap().len(), 3);
    assert_eq!(done["masks"]["objects"][0]["corrected"], json!(true));
    assert_eq!(done["state"]["canUndo"], json!(true));
    let stale = &done["state"]["stale"];
    assert_eq!(stale[0]["object"], json!(1));
    assert_eq!(stale[0]["first"], json!(1));
    // Another tab that has not seen this is told so.
    let late = json!({ "revision": 0, "action": { "type": "undo" } });
    assert!(server.post("act", &late).refused(409).contains("meanwhile"));
    // Another program cannot write meanwhile.
    workshop.refused(1, &["correct", "m.sam2run", "--undo"], &["another sam2"]);
    server.running.stop("KILL");

    let server = Server::start(&workshop, &[]);
    let state = server.state();
    assert_eq!(state["prompts"], done["state"]["prompts"]);
    assert_eq!(state["stale"], done["state"]["stale"]);
    server.track();
    server.act(json!({ "type": "lock", "object": null, "first": 0, "last": 3, "on": true }));
    let locked = json!({ "action": { "type": "unprompt", "object": 1, "frame": 0 } });
    assert!(server.post("act", &locked).refused(400).contains("locked"));
    let history = server.get("history").json();
    assert_eq!(history["entries"][0]["who"], json!("ada"));
    let out = workshop.path("page.btf").display().to_string();
    let written = server.post("export", &json!({ "outputs": [out] })).json();
    assert!(written["command"].as_str().unwrap().starts_with("sam2 merge "), "{written}");
    let again = server.post("export", &json!({ "outputs": [out] })).refused(400);
    assert!(again.contains("exists"), "{again}");
    let point = format!("{last}:{x},{y}:1");
    workshop.sam2(&["correct", "copy.sam2run", "--point", &point, "-o", "command.btf"]).succeeded();
    assert!(workshop.read("page.btf") == workshop.read("command.btf"));
    // Undo up to the beginning.
    for _ in 0..2 {
        server.act(json!({ "type": "undo" }));
    }
    let undone = server.state();
    assert_eq!((&undone["canUndo"], &undone["canRedo"]), (&json!(false), &json!(true)));
    assert!(undone["stale"].as_array().unwrap().is_empty());
    server.act(json!({ "type": "redo" }));
    let redone = server.state();
    assert_eq!(redone["prompts"], state["prompts"]);
    assert!(redone["stale"].as_array().unwrap().is_empty(), "what was tracked is still there");
    drop(server.running.stop("TERM").ended(0));
}

#[test]
fn tracking_can_be_stopped_and_a_click_stops_it() {
    let workshop = crossing();
    let server = Server::start(&workshop, &[]);
    let last = server.get("run").json()["frames"].as_u64().unwrap() - 1;
    let click = |frame: u64, object: u32| {
        let points = json!([{ "x": 100, "y": 100, "positive": true }]);
        json!({ "type": "prompt", "object": object, "frame": frame, "points": points })
    };
    server.act(click(last, 1));
    server.post("track", &json!({})).json();
    server.until("begun", |state| state["tracking"]["done"].as_u64() > Some(2));
    server.post("stop", &json!({})).json();
    let stopped = server.until("stopped", |state| state["tracking"].is_null());
    assert!(!stopped["stale"].as_array().unwrap().is_empty());
    server.post("track", &json!({})).json();
    server.until("begun again", |state| state["tracking"]["done"].as_u64() > Some(0));
    let done = server.act(click(last / 2, 2));
    assert!(done["state"]["tracking"].is_null());
    server.track();
    let queue = server.get("queue").json();
    assert!(queue["total"].as_u64() >= queue["reviewed"].as_u64());
    // Other animals by name and colour; hostile names are text.
    let hostile = "<img src=x onerror=alert(1)>";
    server.act(json!({ "type": "name", "object": 2, "name": hostile }));
    assert_eq!(server.state()["objects"][1]["name"], json!(hostile));
    let body = json!({ "action": { "type": "name", "object": 2, "name": "x".repeat(300) } });
    server.post("act", &body).refused(400);
    let body = json!({ "action": { "type": "colour", "object": 2, "colour": "red;x:y" } });
    server.post("act", &body).refused(400);
}

#[test]
fn a_recording_without_a_run_is_begun_in_the_page() {
    let workshop = Workshop::new();
    std::fs::copy(asset("clips/two-crossing.mp4"), workshop.path("two.mp4")).unwrap();
    let start =
        |more: &[&str]| Server::of(workshop.start_bare(&[&["review", "two.mp4"], more].concat()));
    let server = start(&["--frame", "3"]);
    let run = server.get("run").json();
    assert_eq!((&run["canTrack"], &run["readOnly"]), (&json!(true), &Value::Null));
    assert_eq!(server.get("masks/3").json()["objects"], json!([]));
    let places = [(1, 60.5, 100.5), (2, 250.5, 110.5)];
    for (object, x, y) in places {
        let points = json!([{ "x": x, "y": y, "positive": true }]);
        let prompt = json!({ "type": "prompt", "object": object, "frame": 0, "points": points });
        assert_eq!(server.act(prompt)["candidates"].as_array().unwrap().len(), 3);
    }
    server.track();
    let out = workshop.path("page.btf").display().to_string();
    server.post("export", &json!({ "outputs": [out] })).json();
    drop(server.running.stop("TERM"));
    let points = places.map(|(object, x, y)| format!("0:{x},{y}:{object}"));
    let points = ["--point", &points[0], "--point", &points[1], "--passes", "nearest"];
    workshop.segment_to("command.btf", "two.mp4", &points);
    assert!(workshop.read("page.btf") == workshop.read("command.btf"));
    // The next time, it goes on.
    let server = start(&[]);
    assert_eq!(server.state()["prompts"].as_array().unwrap().len(), 2);
    drop(server.running.stop("TERM"));
    workshop.refused(1, &["review", "two.mp4", "--frame", "99"], &["--frame 99", "0 to 47"]);
    workshop.write("two.sam2run.copy", "no run");
    workshop.refused(1, &["review", "two.sam2run.copy"], &["is not a run file"]);
}

#[test]
fn a_full_disk_is_told_and_nothing_is_half_written() {
    let workshop = crossing();
    let blocks = workshop.read("m.sam2run").len().div_ceil(512);
    let server = Server::of(workshop.start_with_room(blocks, &["review", "m.sam2run"]));
    let name = |number: usize| json!({ "type": "name", "object": 1, "name": format!("{number}{}", "x".repeat(150)) });
    let mut done = 0;
    let told = loop {
        let reply = server.post("act", &json!({ "action": name(done) }));
        if reply.status != 200 {
            break reply.refused(507);
        }
        done += 1;
        assert!(done < 20, "the disk does not fill");
    };
    assert!(told.contains("m.sam2run"), "{told}");
    let full = server.state();
    assert_eq!(full["revision"], json!(done));
    drop(server.running.stop("TERM"));
    let server = Server::start(&workshop, &[]);
    let again = server.state();
    for same in ["revision", "objects", "nextUndo", "head"] {
        assert_eq!(again[same], full[same], "{same}");
    }
    server.act(name(done));
    assert_eq!(server.state()["revision"], json!(done + 1));
}

#[test]
fn contrast_of_sixteen_bits_comes_from_the_stored_samples() {
    let workshop = Workshop::new();
    // A dim ramp of 256 columns within the 16 bits: 256 stored values, of which the model's range shows one in four.
    let ramp = "geq=lum='if(lt(X,256),20000+X,if(lt(X,288),19000,22000))'";
    workshop.folder("deep");
    workshop.ffmpeg(&format!(
        "-f lavfi -i color=black:size=320x240:rate=1:duration=3,format=gray16le,{ramp} -pix_fmt gray16le deep/%d.tif"
    ));
    workshop.segment_to("m.sam2run", "deep", &["--point", "0:300,40", "--intensity", "minmax"]);
    let server = Server::start(&workshop, &[]);
    assert_eq!(server.get("run").json()["deep"], json!(true));
    let grays = |query: &str| {
        let jpeg = server.get(&format!("frame/1.jpg{query}"));
        assert_eq!(jpeg.status, 200);
        workshop.write("a.jpg", &jpeg.body);
        workshop.ffmpeg("-i a.jpg -f rawvideo -pix_fmt gray a.raw");
        let line = workshop.read("a.raw")[320 * 100..][..256].to_vec();
        line.into_iter().collect::<std::collections::BTreeSet<u8>>().len()
    };
    let (model, stored) = (grays(""), grays("?low=0.3333&high=0.4187"));
    assert!(model < 100 && stored > 200, "{model} and {stored} grays of 256 columns");
    assert_eq!(grays("?low=0.3333&high=0.4187"), stored);
    drop(server.running.stop("TERM"));
    let workshop = crossing();
    assert_eq!(Server::start(&workshop, &[]).get("run").json()["deep"], json!(false));
}

#[test]
fn a_running_job_is_followed_read_only() {
    let workshop = crossing();
    let whole = workshop.read("m.sam2run");
    workshop.write("m.sam2run", &whole[..whole.len() / 2]);
    let server = Server::start(&workshop, &["--read-only"]);
    let state = server.until("read", |state| state["known"].as_u64() > Some(0));
    assert_eq!(state["running"], json!(true));
    let before = state["finished"].as_u64().unwrap();
    let undo = json!({ "action": { "type": "undo" } });
    assert!(server.post("act", &undo).refused(423).contains("read-only"));
    let mut growing =
        std::fs::File::options().append(true).open(workshop.path("m.sam2run")).unwrap();
    growing.write_all(&whole[whole.len() / 2..]).unwrap();
    let state = server.until("finished", |state| state["running"] == json!(false));
    assert!(state["finished"].as_u64().unwrap() > before);
    server.get(&format!("masks/{}", state["finished"].as_u64().unwrap() - 1)).json();
}
