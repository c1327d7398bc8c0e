//! `convert` and `download`: weights are either whole or absent, and repeating the same command
//! makes them.

use sam2_model::hexadecimal;
use sha2::{Digest, Sha256};

use super::driver::{Job, Quick};
use crate::server::{Answer, Server};
use crate::support::{Workshop, asset, asset_text};

const CHECKPOINT: &str = "micro/sam2.1_hiera_micro.pt";

fn job(
    name: &'static str,
    arguments: Vec<String>,
    begin: impl Fn() -> Workshop + 'static,
    outputs: &'static [&'static str],
) -> Job {
    Job {
        name,
        begin: Box::new(begin),
        arguments,
        variables: vec![],
        // The same command is enough.
        again: &[],
        then: vec![],
        outputs,
        steps_aside: false,
        quick: Quick::FirstAndLast,
    }
}

pub fn jobs() -> Vec<Job> {
    let convert = ["convert", &asset_text(CHECKPOINT), "out.safetensors", "--overwrite"];
    let file = std::fs::read(asset(CHECKPOINT)).unwrap();
    let sha256 = hexadecimal(&Sha256::digest(&file));
    let url = format!("{}/lab/mouse.pt", Server::start(file, vec![Answer::File]).base);
    let download = ["download", "--url", &url, "--sha256", &sha256, "--cache", "cache"];
    let download: Vec<String> = download.map(str::to_owned).into();
    let again = download.clone();
    vec![
        job(
            "weights converted",
            convert.map(str::to_owned).into(),
            || {
                let workshop = Workshop::new();
                workshop.write("out.safetensors", "weights of another day");
                workshop
            },
            &["out.safetensors"],
        ),
        job("weights downloaded", download, Workshop::new, &["cache/mouse.safetensors"]),
        job(
            "a download that was converted already",
            again.clone(),
            move || {
                let workshop = Workshop::new();
                let arguments: Vec<&str> = again.iter().map(String::as_str).collect();
                let fault = [("SAM2_FAULT", "download not removed:1")];
                assert_eq!(workshop.sam2_where(&fault, &arguments).code, None);
                workshop
            },
            &["cache/mouse.safetensors"],
        ),
    ]
}

#[test]
fn weights_are_whole_whenever_a_process_ends() {
    let tried: usize = jobs().iter().map(Job::ends_everywhere).sum();
    assert!(tried >= 15, "{tried}");
}
