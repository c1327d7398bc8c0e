//! `sam2 download`.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use sam2_model::{ModelName, ModelVersion};
use sam2_weights_convert::{
    DownloadOptions, DownloadProgress, ModelSource, Release, cache_folder, download,
};

use crate::args::{DownloadArgs, VersionArg};
use crate::exit::ExitStatus;
use crate::standard_output::print;

/// Interval between log lines where no terminal can show a bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Downloads a checkpoint and prints its path.
pub fn run(args: &DownloadArgs, quiet: bool) -> Result<ExitStatus> {
    let release = wanted(args)?;
    let mut options = DownloadOptions::new(args.cache.clone().map_or_else(cache_folder, Ok)?);
    options.base_url.clone_from(&args.base_url);
    options.retries = args.retries;
    let mut display = Display::new(quiet);
    let downloaded = download(&release, &options, &mut |progress| display.show(progress));
    display.finish();
    let downloaded = downloaded?;
    match (downloaded.fetched, downloaded.verified) {
        (true, _) => {}
        (false, true) => tracing::info!("it was downloaded before"),
        (false, false) => tracing::warn!(
            "'{}' is there, but no record next to it says what its SHA-256 was, so it was not verified; remove it and run this again to \
             have it fetched anew",
            downloaded.path.display()
        ),
    }
    // The path alone on stdout, for scripts.
    print(format!("{}\n", downloaded.path.display()))?;
    Ok(ExitStatus::Done)
}

fn wanted(args: &DownloadArgs) -> Result<Release> {
    if let (Some(url), Some(sha256)) = (&args.url, &args.sha256) {
        return Release::at_url(url, sha256).ok_or_else(|| {
            anyhow!("--url must be an http(s) address that ends with a file name, --sha256 64 hexadecimal digits")
        });
    }
    let Some(name) = args.model else {
        return Err(anyhow!("name a model, such as large, or give --url"));
    };
    let typed = args.version.map(|version| match version {
        VersionArg::V2_0 => ModelVersion::V2_0,
        VersionArg::V2_1 => ModelVersion::V2_1,
    });
    if let (Some(said), Some(typed)) = (name.version, typed)
        && said != typed
    {
        return Err(anyhow!("'{name}' is not a model of --version {typed}: leave --version out"));
    }
    match ModelSource::named(ModelName { version: name.version.or(typed), ..name })? {
        ModelSource::Release(release) => Ok(release),
        _ => Err(anyhow!("the micro model is built in: `--model micro` uses it")),
    }
}

/// Shows the progress: a bar on a terminal, log lines otherwise, only warnings with `--quiet`.
struct Display {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Display {
    fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::no_length();
            let style = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            crate::terminal::keep_below_lines(&bar);
            bar
        });
        Self { bar, last_line: None }
    }

    fn show(&mut self, progress: DownloadProgress) {
        match progress {
            DownloadProgress::Receiving { received, total } => self.received(received, total),
            DownloadProgress::Waiting => {
                tracing::info!("another process is downloading it: waiting for that");
            }
            DownloadProgress::Retrying { reason, pause } => {
                tracing::warn!("{reason}; trying again in {} s", pause.as_secs_f32());
            }
            DownloadProgress::Verifying => tracing::info!("verifying"),
            DownloadProgress::Damaged { reason } => {
                tracing::warn!(
                    "what was downloaded before is damaged: {reason}; fetching it again"
                );
            }
            DownloadProgress::Converting => tracing::info!("converting to safetensors"),
        }
    }

    fn received(&mut self, received: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total);
            }
            if self.last_line.is_none() {
                // Bytes from an earlier attempt say nothing about the speed of this one.
                bar.reset_eta();
                self.last_line = Some(Instant::now());
            }
            bar.set_position(received);
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            let megabytes = |bytes: u64| bytes as f64 / 1e6;
            match total {
                Some(total) => {
                    tracing::info!("{:.1} of {:.1} MB", megabytes(received), megabytes(total));
                }
                None => tracing::info!("{:.1} MB", megabytes(received)),
            }
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
