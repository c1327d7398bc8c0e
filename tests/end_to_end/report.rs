//! The report page: made by the real binary, checked as text, and, if there is a browser, in it.

use std::path::Path;
use std::process::{Command, Stdio};

use sam2_mask_writer::{
    LabelledMask, MaskFacts, MaskFrame, MaskSink, MaskStackReader, QualityFlag, RunFileSink,
    RunHeader,
};

use crate::browser;
use crate::support::{Workshop, asset, asset_text};

/// Writes a run file of a bundled clip with its ground-truth masks and with facts as a model might
/// report them.
fn write_run(workshop: &Workshop, name: &str, clip: &str, objects: u32) -> RunHeader {
    write_run_of(workshop, name, clip, objects, |_| {})
}

fn write_run_of(
    workshop: &Workshop,
    name: &str,
    clip: &str,
    objects: u32,
    change: impl FnOnce(&mut RunHeader),
) -> RunHeader {
    let truth = |object: u32| -> Vec<_> {
        let path = asset(&format!("clips/{clip}-truth-{object}.tif"));
        MaskStackReader::open(&path).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let masks: Vec<Vec<_>> = (1..=objects).map(truth).collect();
    let (first, frames) = (&masks[0][0], masks[0].len());
    let size = (first.width(), first.height());
    let mut header = RunHeader::new(&format!("{clip}.mp4"), size, frames);
    header.frames_per_second = Some(30.0);
    header.settings.insert("model".into(), "micro 2.1".into());
    change(&mut header);
    let mut sink = Box::new(RunFileSink::create(&workshop.path(name), &header, false).unwrap());
    for (frame, _) in masks[0].iter().enumerate() {
        let labelled: Vec<LabelledMask> = (1..=objects)
            .map(|object| {
                let mut mask = masks[object as usize - 1][frame].clone();
                let mut flags = Vec::new();
                if object == 1 && (20..23).contains(&frame) {
                    mask = sam2_mask_writer::Mask::empty(size.0, size.1);
                    flags.push(QualityFlag::Lost);
                }
                if object == 1 && frame == 30 {
                    flags.push(QualityFlag::AreaJump);
                }
                if object == 2 && (23..26).contains(&frame) {
                    flags.extend([QualityFlag::Disagree, QualityFlag::Overlap]);
                }
                let disagrees = flags.contains(&QualityFlag::Disagree);
                let facts = MaskFacts {
                    object_score: if flags.contains(&QualityFlag::Lost) { -5.0 } else { 9.0 },
                    predicted_iou: 0.95 - 0.002 * frame as f32,
                    prompted: frame == 2,
                    flags: flags.into_iter().collect(),
                    // Frame 2 is prompted, so those before it were tracked from one side.
                    agreement: (frame > 2).then_some(if disagrees { 0.125 } else { 0.975 }),
                };
                LabelledMask { facts: Some(facts), ..LabelledMask::new(object, mask) }
            })
            .collect();
        sink.write(&MaskFrame::new(frame, &labelled)).unwrap();
    }
    sink.finish().unwrap().publish().unwrap();
    header
}

/// Makes a page and returns its text.
fn report_of(workshop: &Workshop, run: &str) -> String {
    workshop.sam2(&["report", run, "-o", "report.html"]).succeeded();
    String::from_utf8(workshop.read("report.html")).unwrap()
}

/// Does the same for `run.sam2run`, with further arguments.
fn report(workshop: &Workshop, arguments: &[&str]) -> String {
    let all = [&["report", "run.sam2run", "-o", "report.html"], arguments].concat();
    workshop.sam2(&all).succeeded();
    String::from_utf8(workshop.read("report.html")).unwrap()
}

fn pictures(page: &str) -> usize {
    page.matches("data:image/jpeg;base64,").count()
}

/// Returns the page's elements as the browser has them after its script ran, without a network;
/// checks that the browser reported no problems.
fn rendered(browser: &Path, workshop: &Workshop, page: &str) -> String {
    let profile = workshop.folder("tmp/profile");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1280,1000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", workshop.path(page).display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{browser:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_run_becomes_one_page_that_needs_nothing_else() {
    let workshop = Workshop::new();
    write_run(&workshop, "run.sam2run", "two-crossing", 2);
    std::fs::copy(asset("clips/two-crossing.mp4"), workshop.path("two-crossing.mp4")).unwrap();
    workshop.write(
        "stats.json",
        r#"{"format_version": 1, "seconds": 12.5, "recordings": [
            {"recording": "elsewhere/two-crossing.mp4", "stages": {"track": 11.25}},
            {"recording": "other.mp4", "stages": {"track": 99.125}}]}"#,
    );
    let page = report(&workshop, &["--stats", "stats.json"]);

    assert!(pictures(&page) > 5, "{} pictures", pictures(&page));
    for told in [
        "two-crossing.mp4",
        "7 of 96 masks should be looked at",
        "<dt>Frames with a flag</dt><dd>7<small>",
        "Identity was checked from two sides in 90 of 94 masks that were not prompted (95.7 %).",
        "<td class=\"spans\">23\u{2013}25</td>",
        "exit code 0",
        "<td class=\"spans\">20\u{2013}22</td>",
        "<td class=\"spans\">30</td>",
        "Frame 20",
        "Prompted frames",
        "<td>micro 2.1</td>",
        "<td>11.25</td>",
        "id=\"object-2\"",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(!page.contains("99.125"), "statistics of another recording");
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.len() < 2_000_000, "{} bytes", page.len());

    // The same again, after the recording was moved.
    std::fs::remove_file(workshop.path("two-crossing.mp4")).unwrap();
    let elsewhere = asset_text("clips/two-crossing.mp4");
    let again =
        report(&workshop, &["--overwrite", "--stats", "stats.json", "--recording", &elsewhere]);
    assert_eq!(again, page);

    let Some(browser) = browser::installed() else { return };
    let elements = rendered(&browser, &workshop, "report.html");
    // The script ran, and did not add anything that it should not.
    assert!(elements.contains("<html lang=\"en\" class=\"js\">"), "{:.300}", elements);
    for part in
        ["id=\"verdict\"", "id=\"glance\"", "id=\"look\"", "id=\"objects\"", "id=\"prompts\""]
    {
        assert_eq!(elements.matches(part).count(), 1, "{part}");
    }
    assert_eq!(elements.matches("type=\"checkbox\"").count(), 2, "a box for each object");
    assert_eq!(elements.matches("<article class=\"object").count(), 2);
    let figures = elements.matches("<figure").count();
    assert!(figures > 8);
    assert_eq!(
        elements.matches("aria-label=\"Enlarge: Frame ").count(),
        figures,
        "pictures are buttons"
    );
}

#[test]
fn a_place_in_a_picture_and_the_flagged_frames_can_be_taken_along() {
    let Some(browser) = browser::installed() else { return };
    let workshop = Workshop::new();
    write_run_of(&workshop, "run.sam2run", "two-crossing", 2, |header| {
        header.object_names.insert(1, "ann, \"the first\"".into());
    });
    std::fs::copy(asset("clips/two-crossing.mp4"), workshop.path("two-crossing.mp4")).unwrap();
    report(&workshop, &[]);
    let mut page = browser::Page::open(&browser, &workshop, "report.html", (1280, 1000));

    // The coordinates below the pointer, in a small picture: the recording is 320 pixels wide and
    // 240 high.
    page.point_at("#prompts .drawing", false);
    let told = page.value("document.querySelector('#prompts .coords').textContent");
    // The centre is on the border between two pixels.
    let in_the_middle = |told: &serde_json::Value, start: &str, between: &str| {
        let numbers: Option<(u32, u32)> = told
            .as_str()
            .and_then(|told| told.strip_prefix(start)?.trim_end_matches(":2:-").split_once(between))
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()));
        assert!(
            numbers.is_some_and(|(x, y)| (159..=160).contains(&x) && (119..=120).contains(&y)),
            "{told}"
        );
    };
    in_the_middle(&told, "2: ", ", ");

    // The values and flags below the pointer, in the middle of a plot.
    page.point_at("#object-2 .field[data-series=agreement]", false);
    let told = page.value("document.querySelector('#object-2 .readout').textContent");
    let told = told.as_str().unwrap();
    assert!(told.starts_with("frame 24  \u{b7}  0:00.8  \u{b7}  area "), "{told}");
    let values = "IoU 0.902  \u{b7}  agreement 0.125  \u{b7}  disagree  \u{b7}  overlap";
    assert!(told.ends_with(values), "{told}");
    let other = page.value("document.querySelector('#object-1 .readout').textContent");
    assert!(other.as_str().unwrap().ends_with("agreement 0.975"), "{other}");

    // With the keyboard alone: enlarge by Enter, type a position, choose another object.
    page.value("document.querySelector('#prompts .open').focus()");
    page.keys("Enter");
    assert_eq!(page.value("document.querySelector('dialog').open"), true);
    let prompt = "document.querySelector('dialog input[readonly]').value";
    let copy_is_off = "document.querySelector('dialog .picker button').disabled";
    assert_eq!((page.value(prompt), page.value(copy_is_off)), ("".into(), true.into()));
    for (field, number) in [(0, "7"), (1, "9")] {
        page.value(&format!(
            "document.querySelectorAll('dialog input[type=number]')[{field}].focus()"
        ));
        page.keys(number);
    }
    assert_eq!(
        (page.value(prompt), page.value(copy_is_off)),
        ("--point 2:7,9:1".into(), false.into())
    );
    page.value(
        "for (const [at, value] of [[0, '2'], [1, ':-']]) { const choice = document.querySelectorAll('dialog select')[at]; \
         choice.value = value; choice.dispatchEvent(new Event('change')); }",
    );
    assert_eq!(page.value(prompt), "--point 2:7,9:2:-");
    // A position outside the picture is not a prompt.
    page.value("{ const x = document.querySelector('dialog input'); x.value = 320; x.dispatchEvent(new Event('input')); }");
    assert_eq!((page.value(prompt), page.value(copy_is_off)), ("".into(), true.into()));
    // A click. The program accepts what the page shows.
    page.point_at("dialog .drawing", true);
    in_the_middle(&page.value(prompt), "--point 2:", ",");
    in_the_middle(
        &page.value("document.querySelector('dialog .pointer').textContent"),
        "Frame 2: x ",
        ", y ",
    );
    let point = page.value("document.querySelector('dialog select').value = 1, document.querySelectorAll('dialog select')[1].value = '', document.querySelectorAll('dialog select')[1].dispatchEvent(new Event('change')), document.querySelector('dialog input[readonly]').value");
    let point: Vec<String> = point.as_str().unwrap().split(' ').map(str::to_owned).collect();
    workshop
        .sam2(&["segment", "two-crossing.mp4", &point[0], &point[1], "-o", "m.btf"])
        .succeeded();

    // The list of prompts.
    page.value("document.querySelector('dialog').close()");
    let list = page.value(
        "new Promise((done) => { URL.createObjectURL = (blob) => { done(blob.text()); return 'data:,'; }; \
         HTMLAnchorElement.prototype.click = () => {}; document.querySelector('#download button').click(); })",
    );
    assert_eq!(
        list,
        "frame,object,name,flag\n20,1,NAME,lost\n21,1,NAME,lost\n22,1,NAME,lost\n\
         23,2,,disagree\n23,2,,overlap\n24,2,,disagree\n24,2,,overlap\n25,2,,disagree\n25,2,,overlap\n\
         30,1,NAME,area-jump\n"
            .replace("NAME", "\"ann, \"\"the first\"\"\"")
    );
}

#[test]
fn without_the_recording_the_masks_are_shown_alone() {
    let workshop = Workshop::new();
    write_run(&workshop, "run.sam2run", "worm", 1);
    let outcome = workshop.sam2(&["report", "run.sam2run", "-o", "report.html"]).succeeded();
    outcome.warns(&["not found", "--recording"]);
    let page = String::from_utf8(workshop.read("report.html")).unwrap();
    assert_eq!(pictures(&page), 0);
    assert!(page.contains("the masks are shown alone"));
    assert!(page.contains("class=\"ground\"") && page.contains("class=\"mask o1\""));
}

#[test]
fn another_recording_is_not_taken_for_that_of_the_run() {
    let workshop = Workshop::new();
    write_run(&workshop, "run.sam2run", "worm", 1);
    let other = asset_text("clips/two-crossing.mp4");
    let command = ["report", "run.sam2run", "-o", "report.html", "--recording", &other];
    workshop.refused(1, &command, &["two-crossing.mp4", "not the recording of the run"]);
    // If a recording found by its name is another one, it is not used.
    std::fs::copy(asset("clips/two-crossing.mp4"), workshop.path("worm.mp4")).unwrap();
    let page = report(&workshop, &[]);
    assert_eq!(pictures(&page), 0);
    assert!(page.contains("is not used as the recording"));
}

#[test]
fn an_interrupted_run_has_a_page_that_says_so() {
    let workshop = Workshop::new();
    write_run(&workshop, "whole.sam2run", "worm", 1);
    workshop.truncate("whole.sam2run", 0.6, "run.sam2run");
    let page = report(&workshop, &[]);
    assert!(page.contains("The run is not complete"));
    assert!(page.contains("class=\"verdict bad\""));
}

#[test]
fn what_is_no_run_file_or_no_good_name_is_refused() {
    let workshop = Workshop::new();
    write_run(&workshop, "run.sam2run", "worm", 1);
    workshop.write("other.sam2run", "not a run");
    workshop.write("stats.json", "{");
    workshop.write("list.json", "[1]");
    workshop.write("new.json", r#"{"format_version": 2, "recordings": []}"#);
    workshop.write(
        "other.json",
        r#"{"format_version": 1, "recordings": [{"recording": "x/a.avi"}, {"recording": "b.avi"}]}"#,
    );
    workshop.write("there.html", "mine");
    let mut damaged = workshop.read("run.sam2run");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    workshop.write("damaged.sam2run", damaged);
    for (arguments, told) in [
        (&["other.sam2run", "-o", "a.html"][..], &["not a run file"][..]),
        (&["missing.sam2run", "-o", "a.html"], &["missing.sam2run"]),
        (&["damaged.sam2run", "-o", "a.html"], &["damaged at byte"]),
        (&["run.sam2run", "-o", "a.png"], &["a.png", ".html"]),
        (&["run.sam2run", "-o", "there.html"], &["there.html", "--overwrite"]),
        (&["run.sam2run", "-o", "nowhere/a.html"], &["nowhere"]),
        (
            &["run.sam2run", "-o", "a.html", "--stats", "stats.json"],
            &["stats.json", "not valid JSON"],
        ),
        (&["run.sam2run", "-o", "a.html", "--stats", "missing.json"], &["missing.json"]),
        (
            &["run.sam2run", "-o", "a.html", "--stats", "list.json"],
            &["list.json", "holds no statistics"],
        ),
        (&["run.sam2run", "-o", "a.html", "--stats", "new.json"], &["version 2, not 1"]),
        (
            &["run.sam2run", "-o", "a.html", "--stats", "other.json"],
            &["about a.avi, b.avi, not worm.mp4", "--stats"],
        ),
        (&["run.sam2run", "-o", "a.html", "--recording", "no.mp4"], &["no.mp4"]),
    ] {
        let command = [&["report"], arguments].concat();
        workshop.refused(1, &command, told);
    }
}

#[test]
fn hostile_names_in_a_run_file_do_nothing() {
    const HOSTILE: &str = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">.mp4";
    let workshop = Workshop::new();
    write_run_of(&workshop, "run.sam2run", "worm", 1, |header| {
        header.recording = HOSTILE.into();
        header.settings.insert(HOSTILE.into(), HOSTILE.into());
        header.options.push((HOSTILE.into(), HOSTILE.into()));
        header.settings.insert("points".into(), format!("[{:?}]", HOSTILE));
    });
    let page = report(&workshop, &[]);
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<img") && page.contains("&lt;img src=x"));
    let Some(browser) = browser::installed() else { return };
    let elements = rendered(&browser, &workshop, "report.html");
    assert!(elements.contains("<title>Masks of &lt;/script&gt;"), "the title is the page's own");
    assert!(!elements.contains("<img"));
}

#[test]
fn segment_writes_its_own_report_with_the_prompts() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    workshop.segment_to("run.html", "mouse.mkv", &["--point", "2:122,40", "-o", "mouse.sam2run"]);
    let page = String::from_utf8(workshop.read("run.html")).unwrap();
    assert!(page.contains("Nothing is flagged in 6 masks") && page.contains("mouse.mkv"));
    assert!(page.contains("class=\"prompt o1\"") && page.contains("on object 1</title>"));
    // The options that were given, in the words of the command line.
    for told in [
        "sam2 segment mouse.mkv --point 2:122,40:1</code>",
        "<th scope=\"row\">Clicks (--point)</th><td>2:122,40:1</td>",
        "<th scope=\"row\">Model (--model)</th><td>the built-in demonstration model</td>",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(pictures(&page) > 1);
    // The page is the same when made from the run file.
    assert!(report_of(&workshop, "mouse.sam2run") == page);
}

#[test]
fn a_page_made_of_a_track_names_its_animals_and_body_parts_also_when_it_is_made_later_or_of_parts()
{
    let workshop = Workshop::new();
    workshop.cut("two-crossing", 12, "-c:v ffv1 -g 1", "two.mkv");
    let track = asset_text("../tests/fixtures/tracks/two-dlc.csv");
    let all = ["two.mkv", "--keypoints", &track, "--batch-size", "6"];
    let segment = |more: &[&str]| workshop.sam2(&[&["segment"], &all[..], more].concat());
    segment(&["-o", "whole.html", "-o", "whole.sam2run"]).succeeded();
    let page = String::from_utf8(workshop.read("whole.html")).unwrap();
    for told in [
        "ann (object 1)",
        "bob (object 2)",
        "class=\"prompt o2\"",
        "front",
        "sam2 segment two.mkv --keypoints two-dlc.csv --batch-size 6 --passes nearest</code>",
        "<th scope=\"row\">Body parts (--bodyparts)</th><td>all of the track</td>",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(report_of(&workshop, "whole.sam2run") == page);
    for (part, frames) in [("a.sam2run", "0..6"), ("b.sam2run", "6..12")] {
        segment(&["-o", part, "--frames", frames]).succeeded();
    }
    let merge = ["merge", "b.sam2run", "a.sam2run", "-o", "merged.sam2run", "-o", "merged.html"];
    workshop.sam2(&[&merge[..], &["--recording", "two.mkv"]].concat()).succeeded();
    assert!(workshop.read("merged.sam2run") == workshop.read("whole.sam2run"));
    // But for the run file's name, by which the page says where to correct.
    let merged = String::from_utf8(workshop.read("merged.html")).unwrap();
    assert!(merged.replace("\"merged.sam2run\"", "\"whole.sam2run\"") == page);
}
