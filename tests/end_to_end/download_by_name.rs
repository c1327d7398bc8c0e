//! Models by their names: in the library, `from_pretrained` and its steps, with a server on loopback;
//! in the program, the same names in every command.

use std::path::Path;
use std::process::Command;

use sam2_model::{Device, Sam2, hexadecimal};
use sam2_weights_convert::{
    DownloadError, DownloadOptions, DownloadProgress, FromPretrained, LocalWeights, ModelSource,
    PretrainedError, Release,
};
use sha2::{Digest, Sha256};

use crate::server::{Answer, Server};
use crate::support::{ON_THE_MOUSE, Workshop, asset};

const CHECKPOINT: &str = "micro/sam2.1_hiera_micro.pt";
const WEIGHTS: &str = "micro/sam2.1_hiera_micro.safetensors";
/// Holds the model that a child process of this test program loads, because the environment of a
/// process with several threads must not be changed.
const CHILD: &str = "TEST_OF_FROM_PRETRAINED";

fn fingerprint(model: &Sam2) -> String {
    model.fingerprint().unwrap().to_owned()
}

fn load(weights: &LocalWeights) -> Result<Sam2, PretrainedError> {
    weights.load(None, &Device::flex())
}

fn options(server: &Server, cache: &Path) -> DownloadOptions {
    let mut options = DownloadOptions::new(cache);
    options.base_url.clone_from(&server.base);
    options
}

/// Puts converted weights of the micro model where those of tiny 2.1 would be.
fn pretend_tiny(workshop: &Workshop) {
    workshop.folder("own");
    workshop.write("own/sam2.1_hiera_tiny.safetensors", std::fs::read(asset(WEIGHTS)).unwrap());
}

#[test]
fn files_of_either_kind_and_the_built_in_model_are_the_same_weights() {
    let device = Device::flex();
    let expected = fingerprint(&Sam2::load(asset(WEIGHTS), &device).unwrap());
    for model in [asset(WEIGHTS), asset(CHECKPOINT), "micro".into(), "micro-2.1".into()] {
        let loaded = Sam2::from_pretrained(&model, &device).unwrap();
        assert_eq!(fingerprint(&loaded), expected, "{}", model.display());
    }
}

#[test]
fn a_model_is_downloaded_once_verified_converted_and_loaded() {
    let workshop = Workshop::new();
    let file = std::fs::read(asset(CHECKPOINT)).unwrap();
    let sha256 = hexadecimal(&Sha256::digest(&file));
    let bytes = file.len() as u64;
    let server = Server::start(file, vec![Answer::Cut(1_000_000), Answer::File]);
    let url = format!("{}/lab/mouse.pt", server.base);
    let source = ModelSource::Release(Release::at_url(&url, &sha256).unwrap());
    let mut options = options(&server, &workshop.path("cache"));
    options.first_pause = std::time::Duration::from_millis(1);

    let missing = source.local(Some(&options.cache)).unwrap_err().to_string();
    assert!(missing.contains("mouse.pt is not here yet"), "{missing}");
    let mut seen = Vec::new();
    let weights = source.fetch(&options, &mut |progress| seen.push(progress)).unwrap();
    let arrived = DownloadProgress::Receiving { received: bytes, total: Some(bytes) };
    assert!(seen.contains(&arrived) && seen.contains(&DownloadProgress::Converting), "{seen:?}");
    assert!(weights.verify(|_| panic!("nothing has changed")).unwrap(), "a record exists");
    let expected = Sam2::load(asset(WEIGHTS), &Device::flex()).unwrap();
    assert_eq!(fingerprint(&load(&weights).unwrap()), fingerprint(&expected));
    assert_eq!(server.requests().len(), 2, "the second one for the rest");

    assert_eq!(source.fetch(&options, &mut |_| {}).unwrap(), weights);
    assert_eq!(source.local(Some(&options.cache)).unwrap(), weights);
    assert_eq!(server.requests().len(), 2);

    let path = weights.file().unwrap();
    let mut damaged = std::fs::read(path).unwrap();
    damaged[2_000_000] ^= 1;
    std::fs::write(path, damaged).unwrap();
    let error = weights.verify(|_| {}).unwrap_err();
    assert!(matches!(error, PretrainedError::Damaged { .. }), "{error}");
}

#[test]
fn every_name_of_a_model_asks_for_its_official_file() {
    let workshop = Workshop::new();
    for (name, path) in [
        ("tiny", "/092824/sam2.1_hiera_tiny.pt"),
        ("large-2.0", "/072824/sam2_hiera_large.pt"),
        ("sam2.1_hiera_large", "/092824/sam2.1_hiera_large.pt"),
        ("sam2_hiera_b+.yaml", "/072824/sam2_hiera_base_plus.pt"),
        ("facebook/sam2.1-hiera-small", "/092824/sam2.1_hiera_small.pt"),
    ] {
        let server = Server::start(Vec::new(), vec![Answer::Status("404 Not Found")]);
        let options = options(&server, &workshop.path("cache"));
        let error = ModelSource::find(name).unwrap().fetch(&options, &mut |_| {}).unwrap_err();
        let status = PretrainedError::Download(DownloadError::Status {
            url: format!("{}{path}", server.base),
            status: 404,
        });
        assert_eq!(error.to_string(), status.to_string(), "{name}");
        assert_eq!(server.requests(), [(path.to_owned(), None)]);
    }
}

#[test]
fn what_is_no_model_is_refused_with_the_reason() {
    let workshop = Workshop::new();
    workshop.folder("mine");
    let find = |model: &str| ModelSource::find(workshop.path(model)).unwrap_err();
    assert!(matches!(find("missing.pt"), PretrainedError::Unknown { .. }));
    assert!(matches!(find("mine"), PretrainedError::Folder { .. }));
    let error = ModelSource::find("micro-2.0").unwrap_err();
    assert!(matches!(error, PretrainedError::NotPublished { .. }), "{error}");
    pretend_tiny(&workshop);
    let tiny = ModelSource::find("tiny").unwrap().local(Some(&workshop.path("own"))).unwrap();
    assert!(!tiny.verify(|_| {}).unwrap(), "there is no record");
    let error = load(&tiny).unwrap_err();
    assert!(error.to_string().contains("holds the model micro-2.1, not tiny-2.1"), "{error}");
}

#[test]
fn from_pretrained_uses_the_mirror_and_the_folder_of_the_environment() {
    if let Some(model) = std::env::var_os(CHILD) {
        let loaded = Sam2::from_pretrained(&model, &Device::flex());
        let result = loaded.map_or_else(|error| error.to_string(), |model| fingerprint(&model));
        println!("result: {result}");
        return;
    }
    let workshop = Workshop::new();
    let server = Server::start(Vec::new(), vec![Answer::Status("404 Not Found")]);
    let child = |model: &str, url: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture"]).arg(
            "download_by_name::from_pretrained_uses_the_mirror_and_the_folder_of_the_environment",
        );
        workshop.prepare(&mut command).env(CHILD, model).env("SAM2_BASE_URL", url);
        let output = command.env("SAM2_CACHE", workshop.path("own")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, result) = text.split_once("result: ").unwrap_or_else(|| panic!("{text}"));
        result.lines().next().unwrap().to_owned()
    };
    let told = child("facebook/sam2.1-hiera-tiny", &server.base);
    assert!(told.contains("404") && told.contains(&server.base), "{told}");
    assert_eq!(server.requests(), [("/092824/sam2.1_hiera_tiny.pt".to_owned(), None)]);
    assert!(workshop.path("own").is_dir(), "the folder of SAM2_CACHE was made");
    // A file needs neither.
    let expected = Sam2::load(asset(WEIGHTS), &Device::flex()).unwrap();
    assert_eq!(child(asset(CHECKPOINT).to_str().unwrap(), "x"), fingerprint(&expected));
}

#[test]
fn the_program_understands_the_same_names_in_every_command() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    pretend_tiny(&workshop);
    let own = [("SAM2_CACHE", "own")];
    for name in ["tiny", "tiny-2.1", "sam2.1_hiera_tiny", "facebook/sam2.1-hiera-tiny"] {
        let table = workshop.sam2_where(&own, &["inspect", name]).succeeded().stdout;
        assert!(table.contains("own/sam2.1_hiera_tiny.safetensors"), "{table}");
        let convert = ["convert", name, "out.safetensors", "--overwrite", "--dtype", "bf16"];
        workshop.sam2_where(&own, &convert).succeeded();
        let arguments = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE];
        let arguments = [&arguments[..], &["--model", name]].concat();
        let outcome = workshop.sam2_where(&own, &arguments).failed(1);
        assert!(outcome.error().contains("micro-2.1, not tiny-2.1"), "{}", outcome.stderr);
    }
    for command in [&["inspect", "large-2.0"][..], &["convert", "large-2.0", "out.safetensors"]] {
        let told = ["large-2.0 is not here yet", "`sam2 download large-2.0`"];
        workshop.refused(1, command, &told);
    }
    workshop.refused(1, &["inspect", "micro"], &["has no file"]);
}

#[test]
fn the_built_in_model_has_a_name() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let unnamed = workshop.segment_to("unnamed.btf", "mouse.mkv", &["--point", ON_THE_MOUSE]);
    unnamed.warns(&["built-in demonstration model"]);
    let named = ["--point", ON_THE_MOUSE, "--model", "micro"];
    let named = workshop.segment_to("named.btf", "mouse.mkv", &named);
    assert!(!named.stderr.contains("demonstration"), "{}", named.stderr);
    assert!(workshop.read("named.btf") == workshop.read("unnamed.btf"));
    let other = ["--point", ON_THE_MOUSE, "--model", "micro", "--config", "tiny-2.1"];
    workshop.refuses("mouse.mkv", &other, &["the built-in model", "tiny"]);
}
