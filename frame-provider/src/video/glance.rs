//! A first look at a video: whether it opens and gives a frame, without reading all of it.

use std::path::Path;

use video_rs::ffmpeg as ff;

use super::decode::{Received, receive};
use super::demux::Demuxer;
use crate::error::FrameError;
use crate::video_options::VideoOptions;

/// Largest number of packets to decode. A sound video gives its first frame after a few. If none
/// has come by then, the result is left to the code that opens the video.
const PACKETS: usize = 256;

/// Opens the file and decodes its first frame.
///
/// # Errors
/// Those of [`VideoFrames::open_with`](super::VideoFrames::open_with), as far as they can be
/// detected here.
pub(crate) fn check_video(path: &Path, options: &VideoOptions) -> Result<(), FrameError> {
    let mut demuxer = Demuxer::open(path, options.stream)?;
    // One thread: with several, a decoder holds back one frame for each thread.
    let mut decoder = demuxer.open_decoder(1, 0)?;
    let mut picture = ff::frame::Video::empty();
    for _ in 0..PACKETS {
        let Some(packet) = demuxer.next_packet() else {
            // As with packets, an error here belongs to a packet sent before.
            let _ = decoder.send_eof();
            return match receive(&mut decoder, &mut picture, &mut 0) {
                Received::Frame => Ok(()),
                _ => Err(FrameError::NoFrames { path: path.to_owned() }),
            };
        };
        // A refused packet gives no frame; later ones can.
        let _ = decoder.send_packet(&packet);
        if matches!(receive(&mut decoder, &mut picture, &mut 0), Received::Frame) {
            return Ok(());
        }
    }
    Ok(())
}
