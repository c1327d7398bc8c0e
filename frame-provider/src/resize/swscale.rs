//! FFmpeg's bilinear scaling, which decord does.
//!
//! decord scales straight from the video's YUV to the model's size, and that is what [`bilinear`] does with a decoded
//! frame. Frames that are RGB already are scaled as RGB, which is the best that can be done for them.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;

use video_rs::ffmpeg as ff;

use ff::ffi;
use ff::format::Pixel;
use ff::frame::Video as VideoFrame;
use ff::software::scaling::{Context, Flags};

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};

/// Scales `frame` to `width` x `height` with the result of `ffmpeg -vf scale=width:height:flags=bilinear` of RGB frames.
///
/// For a video, decord's pixels differ a little from these, since it scales before it converts to RGB.
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

/// Scales a decoded frame of any pixel format straight to RGB of another size, with the frame's own matrix and range.
pub(crate) fn bilinear(frame: &VideoFrame, size: FrameSize) -> Result<RgbFrame, ff::Error> {
    let FrameSize { width, height } = size;
    let mut context = Context::get(
        frame.format(),
        frame.width(),
        frame.height(),
        Pixel::RGB24,
        width,
        height,
        Flags::BILINEAR,
    )?;
    set_colour(&mut context, frame);
    // swscale writes whole vectors, past the end of odd rows, so it needs FFmpeg's padded rows as its target.
    let mut padded = VideoFrame::empty();
    context.run(frame, &mut padded)?;
    let row_bytes = width as usize * 3;
    let rows = padded.data(0).chunks(padded.stride(0)).take(height as usize);
    let mut data = Vec::with_capacity(size.rgb_bytes());
    rows.for_each(|row| data.extend_from_slice(&row[..row_bytes]));
    Ok(RgbFrame::from_parts(size, data))
}

/// Tells swscale the matrix and the range of the frame, with the rules of FFmpeg's `scale` filter.
fn set_colour(context: &mut Context, frame: &VideoFrame) {
    // SAFETY: `as_ptr` points to the live AVFrame inside `frame`. The fields are C enums, which have the size and
    // alignment of `i32`; they are read as such through raw pointers, so no invalid enum value is ever made.
    let (matrix, range) = unsafe {
        let frame = frame.as_ptr();
        (
            ptr::addr_of!((*frame).colorspace).cast::<i32>().read(),
            ptr::addr_of!((*frame).color_range).cast::<i32>().read(),
        )
    };
    // Values outside of the standard's table, and RGB's 0, count as unspecified.
    let matrix = if (1..=10).contains(&matrix) && matrix != 8 { matrix } else { 2 };
    let full_range = match range {
        range if range == ffi::AVColorRange::AVCOL_RANGE_JPEG as i32 => Some(1),
        range if range == ffi::AVColorRange::AVCOL_RANGE_MPEG as i32 => Some(0),
        _ => None,
    };
    let (mut inverse, mut forward) = (ptr::null_mut(), ptr::null_mut());
    let (mut source_range, mut target_range) = (0, 0);
    let (mut brightness, mut contrast, mut saturation) = (0, 0, 0);
    // SAFETY: the context is live and borrowed exclusively. `sws_getColorspaceDetails` writes its seven results through
    // valid pointers; `forward` then points into the context and is only passed back to it. `sws_getCoefficients`
    // returns a pointer to static tables. A negative result means that the conversion takes no such details, and the
    // context is unchanged.
    unsafe {
        let found = ffi::sws_getColorspaceDetails(
            context.as_mut_ptr(),
            &mut inverse,
            &mut source_range,
            &mut forward,
            &mut target_range,
            &mut brightness,
            &mut contrast,
            &mut saturation,
        );
        if found >= 0 {
            ffi::sws_setColorspaceDetails(
                context.as_mut_ptr(),
                ffi::sws_getCoefficients(matrix),
                full_range.unwrap_or(source_range),
                forward,
                target_range,
                brightness,
                contrast,
                saturation,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// What the `ffmpeg` program makes of one raw picture.
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
