//! Continues a saved session in a separate process, for the tests: `continue_session video|stream
//! SESSION OUT`.

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use sam2_tests::saved;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, session, out] = &args[..] else { panic!("continue_session KIND SESSION OUT") };
    let model = saved::model();
    let shown = match kind.as_str() {
        "video" => saved::continue_video(&mut saved::restore_video(&model, session)),
        "stream" => saved::continue_stream(&mut saved::restore_stream(&model, session)),
        other => panic!("{other}"),
    };
    let bytes: Vec<u8> = shown.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(out, bytes).unwrap();
}
