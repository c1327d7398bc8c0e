//! The page: HTML, styles, vector graphics and a short script in one file, written by hand so that
//! its source is readable.

mod axis;
mod colours;
mod data;
mod flags;
mod gallery;
mod numbers;
mod plot;
mod plots;
mod tables;
mod timeline;
mod verdict;

use std::fmt::{self, Display, Formatter};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::escape::Text;
use crate::report::Report;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of a report.
pub(crate) struct Page<'a>(pub &'a Report);

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        head(f, report)?;
        verdict::write(f, report)?;
        timeline::write(f, report)?;
        gallery::worst(f, report)?;
        plots::write(f, report)?;
        gallery::prompted(f, report)?;
        gallery::even(f, report)?;
        tables::write(f, report)?;
        help(f)?;
        f.write_str("</main>\n")?;
        data::write(f, report)?;
        writeln!(f, "<script>{SCRIPT}</script>\n</body>\n</html>")
    }
}

fn head(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let title = if report.run.recording.is_empty() { "a recording" } else { &report.run.recording };
    // The page must not load anything and may run only its own script, whatever names and texts it
    // contains.
    let digest = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    write!(
        f,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
         script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Masks of {}</title>\n<style>\n\
         :root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{STYLE}</style>\n</head>\n<body>\n",
        Text(title),
        colours::variables(false),
        colours::variables(true),
    )?;
    gallery::pictures(f, report)?;
    f.write_str("<main>\n")
}

fn help(f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(concat!(
        "<section id=\"help\">\n<h2>How to read this page</h2>\n<dl class=\"help\">\n",
        "<dt>Area</dt><dd>Pixels of the mask in the recording. An animal changes its area slowly; steps are suspicious.</dd>\n",
        "<dt>Object score</dt><dd>A logit: above 0 the model sees the object in the frame; at or below 0 it does not, and the mask is empty. \
         Where a mask was the prompt it is 10, or \u{2212}10 for an empty one.</dd>\n",
        "<dt>Predicted IoU</dt><dd>The model\u{2019}s own estimate of how well the mask fits, 0 to 1. It is not a measurement, but where it \
         falls, masks are often wrong.</dd>\n",
        "<dt>Agreement</dt><dd>With <code>--passes agreed</code>, a frame between two prompts of an object is tracked from both. This is \
         the IoU of the two masks, 0 to 1. Where two look-alikes swapped, it is near 0.</dd>\n",
        "<dt>Lines and bands</dt><dd>In a long recording a point stands for several frames: the line is their mean, the band \
         reaches from the least to the greatest value. Spans of flagged frames are exact.</dd>\n",
    ))?;
    for flag in sam2_mask_writer::QualityFlag::ALL {
        writeln!(
            f,
            "<dt><span class=\"chip {}\">{}</span></dt><dd>{}</dd>",
            flag.name(),
            flags::label(flag),
            flags::meaning(flag)
        )?;
    }
    f.write_str(
        "<dt class=\"scripted\">Mouse and keys</dt><dd class=\"scripted\">Move over a plot for its values and flags; drag to enlarge a stretch of time, \
         double-click to see all of it again. Click a picture to enlarge it; the arrow keys go on to the next, M hides the \
         masks. A click in the enlarged picture, or numbers typed below it, make a --point to be copied.</dd>\n</dl>\n</section>\n",
    )
}
