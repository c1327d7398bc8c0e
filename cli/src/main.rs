//! `sam2`: Segment Anything 2 for long recordings.

mod alike;
mod announce;
mod args;
mod begun_run;
mod bench;
mod command_line;
mod completions;
mod convert;
mod correct;
mod devices;
mod disk;
mod doctor;
mod download;
mod exit;
mod foresight;
mod inspect;
mod job_file;
mod job_file_error;
mod job_header;
mod job_options;
mod kernel_watch;
mod legacy_pipeline;
mod loaded_models;
mod manual;
mod memory_limits;
mod merge;
mod message;
mod model;
mod one_recording;
mod output_sizes;
mod outputs;
mod plain_text;
mod planning;
mod preflight;
mod probe;
mod process_memory;
mod progress;
mod prompt_args;
mod recording;
mod recordings;
mod remedy;
mod report;
mod resuming;
mod review;
mod run_track;
mod score;
mod segment;
mod settings;
mod signals;
mod sinks;
mod standard_output;
mod start_again;
mod stats;
mod summary;
mod terminal;
mod typed_files;
mod version;
mod weights_file;

use args::Command;
use command_line::CommandLine;
use exit::ExitStatus;

#[global_allocator]
static ALLOCATOR: sam2_large_blocks::LargeBlocks = sam2_large_blocks::LargeBlocks::new();

fn main() -> std::process::ExitCode {
    let started = std::time::Instant::now();
    let CommandLine { cli, settings, problem } = CommandLine::parse();
    progress::init_logging(cli.verbose, cli.quiet, cli.log_format);
    if let Some(threads) = cli.threads {
        // Fails only if the threads run already, and nothing has been computed yet.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    start_again::where_cuda_is_found(&cli.command);
    let result = match cli.command {
        Command::Segment(args) => segment::run(&args, cli.quiet),
        Command::Correct(args) => correct::run(&args, cli.quiet),
        Command::Review(args) => review::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Download(args) => download::run(&args, cli.quiet),
        Command::Probe(args) => probe::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Bench(args) => bench::run(&args, started),
        Command::Devices(args) => devices::run(&args),
        Command::Doctor(args) => doctor::run(&args, &settings, problem.as_deref()),
        Command::Config(args) => {
            settings::show::run(&args, &command_line::description(), &settings)
        }
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => manual::run(&args),
        Command::LegacyPipeline(args) => legacy_pipeline::run(&args, &settings, cli.quiet),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            progress::print_error(&message::of(&error));
            ExitStatus::of(&error).into()
        }
    }
}
