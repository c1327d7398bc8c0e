//! `sam2 download`, from a server on loopback.

use sam2_model::hexadecimal;
use sha2::{Digest, Sha256};

use crate::server::{Answer, Server};
use crate::support::{ON_THE_MOUSE, Outcome, Workshop, asset};

/// Returns what a lab might share: the micro checkpoint.
fn checkpoint() -> Vec<u8> {
    std::fs::read(asset("micro/sam2.1_hiera_micro.pt")).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Downloads `mouse.pt` with the hash of the micro checkpoint into `cache`.
fn fetch(workshop: &Workshop, server: &Server, more: &[&str]) -> Outcome {
    let url = format!("{}/lab/mouse.pt", server.base);
    let hash = sha256(&checkpoint());
    let arguments = ["download", "--url", &url, "--sha256", &hash, "--cache", "cache"];
    workshop.sam2(&[&arguments[..], more].concat())
}

fn cached(workshop: &Workshop) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(workshop.path("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != RECORD)
        .collect();
    names.sort();
    names
}

const DONE: &str = "mouse.safetensors";
const PART: &str = "mouse.pt.part";
/// Name of the record of the weights as they were written.
const RECORD: &str = ".mouse.safetensors.sam2digest";

#[test]
fn a_checkpoint_is_fetched_converted_and_used() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let server = Server::start(checkpoint(), vec![Answer::File]);
    let outcome = fetch(&workshop, &server, &[]).succeeded();
    assert_eq!(outcome.stdout.trim(), "cache/mouse.safetensors", "its path, for scripts");
    assert_eq!(cached(&workshop), [DONE]);
    assert_eq!(server.requests(), [("/lab/mouse.pt".to_owned(), None)]);
    let model = ["--point", ON_THE_MOUSE, "--model", "cache/mouse.safetensors"];
    workshop.segment_to("downloaded.btf", "mouse.mkv", &model);
    workshop.segment_to("built-in.btf", "mouse.mkv", &["--point", ON_THE_MOUSE]);
    assert!(workshop.read("downloaded.btf") == workshop.read("built-in.btf"));
}

#[test]
fn the_second_time_nothing_is_fetched() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    let before = workshop.snapshot();
    let again = fetch(&workshop, &server, &[]).succeeded();
    assert_eq!(again.stdout.trim(), "cache/mouse.safetensors");
    assert_eq!(server.requests().len(), 1);
    assert!(workshop.snapshot() == before);
}

#[test]
fn a_damaged_conversion_is_made_again() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    let whole = workshop.read("cache/mouse.safetensors");
    workshop.write("cache/mouse.safetensors", &whole[..whole.len() / 2]);
    fetch(&workshop, &server, &[]).succeeded();
    assert!(workshop.read("cache/mouse.safetensors") == whole);
}

/// Changes a byte in the middle of the converted weights, as a failing disk does.
fn damage(workshop: &Workshop) {
    let mut bytes = workshop.read("cache/mouse.safetensors");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    workshop.write("cache/mouse.safetensors", bytes);
}

#[test]
fn damaged_weights_are_refused_where_they_are_used_and_fetched_again() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    let whole = workshop.read("cache/mouse.safetensors");
    let modified = workshop.path("cache/mouse.safetensors").metadata().unwrap().modified().unwrap();
    damage(&workshop);
    // The modification time as `touch -r` and `cp -p` leave it.
    let file = std::fs::File::options().write(true).open(workshop.path("cache/mouse.safetensors"));
    file.unwrap().set_modified(modified).unwrap();
    let told =
        ["cache/mouse.safetensors", "is not what was downloaded", "SHA-256", "sam2 download"];
    let model = ["--point", ON_THE_MOUSE, "--model", "cache/mouse.safetensors"];
    workshop.refuses("mouse.mkv", &model, &told);
    let outcome = workshop.refused(1, &["inspect", "cache/mouse.safetensors"], &told);
    assert!(outcome.stdout.contains("damaged     its SHA-256 is"), "{}", outcome.stdout);
    let outcome = fetch(&workshop, &server, &[]).succeeded();
    outcome.warns(&["is damaged", "fetching it again"]);
    // Once for the existing file, once for the new download.
    for (text, times) in [("is damaged", 1), ("verifying", 2)] {
        assert_eq!(outcome.stderr.matches(text).count(), times, "{}", outcome.stderr);
    }
    assert!(workshop.read("cache/mouse.safetensors") == whole);
    workshop.segment("mouse.mkv", &model);
    let table = workshop.sam2(&["inspect", "cache/mouse.safetensors"]).succeeded().stdout;
    let made = format!("made from   mouse.pt (SHA-256 {}, verified", sha256(&checkpoint()));
    assert!(table.contains(&made), "{table}");
}

#[test]
fn weights_are_read_for_their_digest_only_after_a_change() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    let model = ["--point", ON_THE_MOUSE, "--overwrite", "--model", "cache/mouse.safetensors"];
    let told = |workshop: &Workshop| {
        let outcome = workshop.segment("mouse.mkv", &model);
        outcome.stderr.matches("computing the SHA-256 of 'cache/mouse.safetensors'").count()
    };
    assert_eq!(told(&workshop), 0, "nothing has changed");
    workshop.write("cache/mouse.safetensors", workshop.read("cache/mouse.safetensors"));
    std::fs::File::options()
        .write(true)
        .open(workshop.path("cache/mouse.safetensors"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(told(&workshop), 1, "written again with the same bytes");
    assert_eq!(told(&workshop), 0, "and known from then on");
}

#[test]
fn a_record_that_cannot_be_read_is_said_and_made_anew() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let server = Server::start(checkpoint(), vec![Answer::File, Answer::File, Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    let model = ["--point", ON_THE_MOUSE, "--overwrite", "--model", "cache/mouse.safetensors"];
    for (bytes, told) in [("", "it is empty"), ("junk", "it is damaged")] {
        workshop.write(&format!("cache/{RECORD}"), bytes);
        let told = ["without a check", RECORD, "cannot be read", told, "sam2 download"];
        workshop.segment("mouse.mkv", &model).warns(&told);
        let outcome = workshop.sam2(&["inspect", "cache/mouse.safetensors"]).succeeded();
        outcome.warns(&["was not compared", RECORD]);
        fetch(&workshop, &server, &[]).succeeded().warns(&["cannot be read", "fetching it again"]);
        let outcome = workshop.segment("mouse.mkv", &model);
        assert!(!outcome.stderr.contains("without a check"), "{}", outcome.stderr);
    }
}

#[test]
fn folders_and_files_that_are_called_like_a_model_are_told_from_it() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    workshop.folder("tiny");
    workshop.folder("mine");
    workshop.write("large", "no weights");
    let with = |model: &'static str| ["--point", ON_THE_MOUSE, "--model", model];
    workshop.refuses("mouse.mkv", &with("tiny"), &["tiny-2.1 is not here yet", "sam2 download"]);
    workshop.refuses("mouse.mkv", &with("mine"), &["'mine' is a folder", "weights file"]);
    let outcome = workshop.refuses("mouse.mkv", &with("large"), &["large"]);
    outcome.warns(&["--model large is taken as the file 'large'", "--model ./large"]);
    let outcome = workshop.refuses("mouse.mkv", &with("./large"), &["large"]);
    assert!(!outcome.stderr.contains("is taken as"), "{}", outcome.stderr);
}

#[test]
fn another_model_under_the_name_is_refused_and_a_missing_record_said() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    workshop.folder("own");
    let micro = std::fs::read(asset("micro/sam2.1_hiera_micro.safetensors")).unwrap();
    workshop.write("own/sam2.1_hiera_tiny.safetensors", micro);
    let all = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE, "--model", "tiny"];
    let outcome = workshop.sam2_where(&[("SAM2_CACHE", "own")], &all).failed(1);
    for told in ["holds the model micro-2.1, not tiny-2.1", "`sam2 download tiny-2.1`"] {
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
    }
    assert!(!workshop.path("m.btf").exists());
    outcome.warns(&["has no record of its SHA-256", "sam2 download tiny"]);
    assert_eq!(outcome.stderr.matches("has no record").count(), 1, "{}", outcome.stderr);
    // With a record, a different file under the name is refused, and the message names the command
    // that repairs it.
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    let record = String::from_utf8(workshop.read(&format!("cache/{RECORD}"))).unwrap();
    let tiny = "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69";
    let record = record.replace(&sha256(&checkpoint()), tiny);
    workshop.write("own/.sam2.1_hiera_tiny.safetensors.sam2digest", record);
    let again = [&all[..], &["--overwrite"]].concat();
    damage(&workshop);
    workshop.write("own/sam2.1_hiera_tiny.safetensors", workshop.read("cache/mouse.safetensors"));
    let outcome = workshop.sam2_where(&[("SAM2_CACHE", "own")], &again).failed(1);
    assert!(outcome.error().contains("`sam2 download tiny-2.1`"), "{}", outcome.stderr);
}

#[test]
fn what_was_downloaded_without_a_record_stays_and_it_is_said() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    std::fs::remove_file(workshop.path(&format!("cache/{RECORD}"))).unwrap();
    fetch(&workshop, &server, &[]).succeeded().warns(&["was not verified", "remove it"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let workshop = Workshop::new();
    let answers = vec![Answer::Cut(1_000_000), Answer::Nothing, Answer::Cut(7), Answer::File];
    let server = Server::start(checkpoint(), answers);
    let outcome = fetch(&workshop, &server, &[]).succeeded();
    outcome.warns(&["trying again"]);
    let starts: Vec<_> = server.requests().into_iter().map(|(_, from)| from).collect();
    let resumed = Some(1_000_000);
    assert_eq!(starts, [None, resumed, resumed, Some(1_000_007)]);
    assert_eq!(cached(&workshop), [DONE]);
}

#[test]
fn an_interrupted_download_goes_on_in_the_next_run() {
    let workshop = Workshop::new();
    let answers = vec![Answer::Cut(2_000_000), Answer::Nothing, Answer::File];
    let server = Server::start(checkpoint(), answers);
    let first = fetch(&workshop, &server, &["--retries", "0"]).failed(1);
    for part in ["2000000 bytes", "run the same command again"] {
        assert!(first.error().contains(part), "{}", first.stderr);
    }
    assert_eq!(cached(&workshop), [PART]);
    assert!(workshop.read("cache/mouse.pt.part") == checkpoint()[..2_000_000]);
    // A second failure loses nothing.
    fetch(&workshop, &server, &["--retries", "0"]).failed(1);
    assert_eq!(workshop.read("cache/mouse.pt.part").len(), 2_000_000);
    fetch(&workshop, &server, &[]).succeeded();
    assert_eq!(server.requests()[2].1, Some(2_000_000));
    assert_eq!(cached(&workshop), [DONE]);
}

#[test]
fn a_server_without_ranges_or_lengths_works_too() {
    for answer in [Answer::Whole, Answer::NoLength] {
        let workshop = Workshop::new();
        workshop.folder("cache");
        workshop.write("cache/mouse.pt.part", &checkpoint()[..123_456]);
        let server = Server::start(checkpoint(), vec![answer]);
        fetch(&workshop, &server, &[]).succeeded();
        assert_eq!(cached(&workshop), [DONE]);
    }
}

#[test]
fn what_is_complete_is_not_fetched_again() {
    let workshop = Workshop::new();
    workshop.folder("cache");
    workshop.write("cache/mouse.pt.part", checkpoint());
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    assert_eq!(server.requests().len(), 1, "one question, answered with 416");
    assert_eq!(cached(&workshop), [DONE]);
}

#[test]
fn a_part_of_another_file_is_thrown_away() {
    let workshop = Workshop::new();
    workshop.folder("cache");
    workshop.write("cache/mouse.pt.part", vec![1; checkpoint().len() + 10]);
    let server = Server::start(checkpoint(), vec![Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    assert_eq!(cached(&workshop), [DONE]);
}

#[test]
fn a_server_that_sends_another_part_is_asked_again() {
    let workshop = Workshop::new();
    workshop.folder("cache");
    workshop.write("cache/mouse.pt.part", &checkpoint()[..1000]);
    let server = Server::start(checkpoint(), vec![Answer::WrongPart, Answer::File]);
    fetch(&workshop, &server, &[]).succeeded();
    assert_eq!(cached(&workshop), [DONE]);
}

#[test]
fn a_file_with_the_wrong_hash_is_refused_and_removed() {
    let workshop = Workshop::new();
    let mut damaged = checkpoint();
    damaged[3_000_000] ^= 1;
    let server = Server::start(damaged.clone(), vec![Answer::File]);
    let outcome = fetch(&workshop, &server, &[]).failed(1);
    for part in [&sha256(&checkpoint())[..], &sha256(&damaged), "mirror"] {
        assert!(outcome.error().contains(part), "{}", outcome.stderr);
    }
    assert!(cached(&workshop).is_empty());
}

#[test]
fn what_is_no_checkpoint_is_refused_with_the_right_hash_too() {
    let workshop = Workshop::new();
    let page = b"<html>log in first</html>".to_vec();
    let server = Server::start(page.clone(), vec![Answer::File]);
    let url = format!("{}/mouse.pt", server.base);
    let arguments = ["download", "--url", &url, "--sha256", &sha256(&page), "--cache", "cache"];
    workshop.sam2(&arguments).failed(1);
    assert!(!cached(&workshop).contains(&DONE.to_owned()));
}

#[test]
fn an_official_file_of_the_wrong_size_is_refused_before_it_is_fetched() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    let arguments = ["download", "tiny", "--base-url", &server.base, "--cache", "cache"];
    let outcome = workshop.sam2(&arguments).failed(1);
    for part in ["156008466", "092824/sam2.1_hiera_tiny.pt", "mirror"] {
        assert!(outcome.error().contains(part), "{}", outcome.stderr);
    }
    assert!(cached(&workshop).is_empty());
}

#[test]
fn official_files_are_asked_for_by_their_paths() {
    for (model, version, path) in [
        ("tiny", "2.1", "/092824/sam2.1_hiera_tiny.pt"),
        ("base-plus", "2.1", "/092824/sam2.1_hiera_base_plus.pt"),
        ("small", "2.0", "/072824/sam2_hiera_small.pt"),
        ("large", "2.0", "/072824/sam2_hiera_large.pt"),
    ] {
        let workshop = Workshop::new();
        let server = Server::start(Vec::new(), vec![Answer::Status("404 Not Found")]);
        // A mirror with its own path and a superfluous slash.
        let base = format!("{}/mirror/", server.base);
        let arguments =
            ["download", model, "--version", version, "--base-url", &base, "--cache", "cache"];
        let outcome = workshop.sam2(&arguments).failed(1);
        assert!(outcome.error().contains("404"), "{}", outcome.stderr);
        assert!(outcome.error().contains("--base-url"), "{}", outcome.stderr);
        assert_eq!(server.requests(), [(format!("/mirror{path}"), None)]);
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let workshop = Workshop::new();
    let answers = vec![Answer::Status("503 Service Unavailable"), Answer::File];
    let server = Server::start(checkpoint(), answers);
    fetch(&workshop, &server, &[]).succeeded().warns(&["503"]);
}

#[test]
fn nobody_there() {
    let workshop = Workshop::new();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base = format!("http://{free}");
    let arguments = ["download", "tiny", "--base-url", &base, "--cache", "cache", "--retries", "1"];
    let outcome = workshop.sam2(&arguments).failed(1);
    assert!(outcome.error().contains(&base), "{}", outcome.stderr);
    assert!(outcome.stderr.matches("trying again").count() == 1, "{}", outcome.stderr);
}

#[test]
fn a_cache_that_cannot_be_written() {
    let workshop = Workshop::new();
    workshop.write("cache", "a file where the folder should be");
    let server = Server::start(checkpoint(), vec![Answer::File]);
    let outcome = fetch(&workshop, &server, &[]).failed(1);
    for part in ["'cache'", "SAM2_CACHE"] {
        assert!(outcome.error().contains(part), "{}", outcome.stderr);
    }
    assert!(server.requests().is_empty(), "nothing is fetched that cannot be kept");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_read_only() {
    // Root may write anywhere except in /proc.
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    let url = format!("{}/mouse.pt", server.base);
    let hash = sha256(&checkpoint());
    for folder in ["/proc/self", "/proc/self/cache"] {
        let arguments = ["download", "--url", &url, "--sha256", &hash, "--cache", folder];
        let outcome = workshop.sam2(&arguments).failed(1);
        assert!(outcome.error().contains(folder), "{}", outcome.stderr);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_full_disk_loses_nothing() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    let url = format!("{}/mouse.pt", server.base);
    let hash = sha256(&checkpoint());
    let arguments = ["download", "--url", &url, "--sha256", &hash, "--cache", "cache"];
    let outcome = workshop.sam2_with_room(2000, &arguments).failed(1);
    assert!(outcome.error().contains("mouse.pt.part"), "{}", outcome.stderr);
    assert_eq!(cached(&workshop), [PART]);
    fetch(&workshop, &server, &[]).succeeded();
    let resumed = server.requests()[1].1.unwrap();
    assert!(resumed >= 1_900_000, "{resumed}");
}

#[test]
fn two_at_once_share_one_download() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| fetch(&workshop, &server, &[]))).collect();
        for run in runs {
            run.join().unwrap().succeeded();
        }
    });
    assert_eq!(server.requests().len(), 1);
    assert_eq!(cached(&workshop), [DONE]);
}

#[test]
fn the_cache_folder_follows_the_environment() {
    let workshop = Workshop::new();
    let server = Server::start(checkpoint(), vec![Answer::File]);
    let url = format!("{}/mouse.pt", server.base);
    let hash = sha256(&checkpoint());
    let arguments = ["download", "--url", &url, "--sha256", &hash];
    let folder = |name: &str| workshop.path(name).display().to_string();
    let (xdg, own, home) = (folder("xdg"), folder("own"), folder("home"));
    for (variables, file) in [
        (vec![("HOME", &home)], "home/.cache/sam2/mouse.safetensors"),
        (vec![("HOME", &home), ("XDG_CACHE_HOME", &xdg)], "xdg/sam2/mouse.safetensors"),
        (vec![("XDG_CACHE_HOME", &xdg), ("SAM2_CACHE", &own)], "own/mouse.safetensors"),
    ] {
        let outcome = workshop.sam2_with(&variables, &arguments).succeeded();
        assert!(workshop.path(file).exists(), "{file}: {}", outcome.stderr);
        assert_eq!(outcome.stdout.trim(), workshop.path(file).display().to_string());
    }
}

#[test]
fn wrong_command_lines() {
    let workshop = Workshop::new();
    for arguments in [
        &["download"][..],
        &["download", "huge"],
        &["download", "tiny", "--version", "3.0"],
        &["download", "--url", "http://x/y.pt"],
        &["download", "tiny", "--sha256", "12"],
    ] {
        workshop.sam2(arguments).failed(2);
    }
    for url in ["ftp://x/y.pt", "http://x/"] {
        let arguments = ["download", "--url", url, "--sha256", &"0".repeat(64)];
        workshop.refused(1, &arguments, &["--url"]);
    }
}

#[test]
fn a_model_that_is_not_downloaded_yet() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    for (model, told) in
        [("large", "sam2 download large-2.1"), ("tiny-2.0", "sam2 download tiny-2.0")]
    {
        let arguments = ["--point", ON_THE_MOUSE, "--model", model];
        workshop.refuses("mouse.mkv", &arguments, &[told]);
    }
}
