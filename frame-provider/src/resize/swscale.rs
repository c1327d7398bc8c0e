//! FFmpeg's bilinear scaling, which decord uses.
//!
//! decord scales directly from the video's YUV to the model's size;
//! [`VideoFrames`](crate::VideoFrames) does that with the same scaler. Frames that are already RGB
//! are scaled as RGB, the closest possible result for them.

use std::sync::Arc;

use video_rs::ffmpeg as ff;

use ff::format::Pixel;
use ff::frame::Video as VideoFrame;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::size::FrameSize;
use crate::video::{Scaler, ScalerInput};

/// Scales `frame` to `width` x `height` with the result of `ffmpeg -vf
/// scale=width:height:flags=bilinear` for RGB frames.
///
/// For a video, decord's pixels differ a little from these, since decord scales before it converts
/// to RGB. To get decord's pixels, request scaled frames from the video
/// ([`FrameSource::scaled`](crate::FrameSource::scaled)).
///
/// # Errors
/// [`FrameError::Other`] if FFmpeg cannot scale between these sizes.
pub fn decord(frame: &RgbFrame, width: u32, height: u32) -> Result<RgbFrame, FrameError> {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    if size == frame.size() {
        return Ok(frame.clone());
    }
    let mut input = VideoFrame::new(Pixel::RGB24, frame.width(), frame.height());
    let row_bytes = frame.width() as usize * 3;
    // FFmpeg's rows are padded.
    let stride = input.stride(0);
    for (row, padded) in
        frame.data().chunks_exact(row_bytes).zip(input.data_mut(0).chunks_mut(stride))
    {
        padded[..row_bytes].copy_from_slice(row);
    }
    bilinear(&input, size).map_err(|error| FrameError::Other {
        message: format!(
            "FFmpeg cannot scale {} to {size}; choose another resize mode",
            frame.size()
        ),
        source: Some(Arc::new(error)),
    })
}

/// Scales a frame of any pixel format directly to RGB of another size, with the frame's own matrix
/// and range.
fn bilinear(frame: &VideoFrame, size: FrameSize) -> Result<RgbFrame, ff::Error> {
    let mut scaler = Scaler::bilinear(ScalerInput::of(frame), size)?;
    let mut data = Vec::new();
    scaler.run(frame, &mut data)?;
    scaler.remove_padding(&mut data);
    Ok(RgbFrame::from_parts(size, data))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Returns the result of the `ffmpeg` program for one raw picture.
    fn oracle(format: &str, from: FrameSize, to: FrameSize, raw: &[u8]) -> Vec<u8> {
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", format])
            .args(["-s", &from.to_string(), "-i", "-", "-pix_fmt", "rgb24", "-f", "rawvideo"])
            .args(["-vf", &format!("scale={}:{}:flags=bilinear", to.width, to.height), "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need the ffmpeg program");
        let mut stdin = ffmpeg.stdin.take().unwrap();
        let raw = raw.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&raw).unwrap());
        let output = ffmpeg.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    const SIZES: [(u32, u32, u32, u32); 9] = [
        (16, 16, 17, 18),
        (34, 30, 64, 8),
        (320, 180, 512, 512),
        (900, 896, 1024, 1024),
        (1280, 720, 1024, 1024),
        (1920, 1080, 1024, 1024),
        (720, 1280, 1024, 1024),
        (640, 480, 256, 192),
        (2000, 1500, 14, 12),
    ];

    #[test]
    fn frames_are_scaled_as_the_ffmpeg_program_does() {
        let mut compared = 0;
        for (width, height, to_width, to_height) in SIZES {
            let (from, to) =
                (FrameSize { width, height }, FrameSize { width: to_width, height: to_height });
            let rgb = RgbFrame::new(width, height, noise(from.rgb_bytes())).unwrap();
            let scaled = decord(&rgb, to_width, to_height).unwrap();
            assert_eq!(scaled.data(), oracle("rgb24", from, to, rgb.data()), "{from} to {to}, RGB");
            let raw = noise(from.rgb_bytes() / 2);
            let mut yuv = VideoFrame::new(Pixel::YUV420P, width, height);
            let mut rest = raw.as_slice();
            for plane in 0..3 {
                let side = if plane == 0 { 1 } else { 2 };
                let (columns, rows) = ((width / side) as usize, (height / side) as usize);
                let stride = yuv.stride(plane);
                for row in yuv.data_mut(plane).chunks_mut(stride).take(rows) {
                    let (now, later) = rest.split_at(columns);
                    row[..columns].copy_from_slice(now);
                    rest = later;
                }
            }
            let scaled = bilinear(&yuv, to).unwrap();
            assert_eq!(scaled.data(), oracle("yuv420p", from, to, &raw), "{from} to {to}, YUV");
            compared += 2;
        }
        println!("TOTAL {compared} scalings compared with ffmpeg");
    }
}
