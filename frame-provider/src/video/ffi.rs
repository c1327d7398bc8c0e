//! The few things that the safe FFmpeg bindings do not offer. All `unsafe` of this crate that has to do with FFmpeg is
//! here and in `scaler`.

#![allow(unsafe_code)]

use std::ptr;

use video_rs::ffmpeg as ff;

use ff::Error;
use ff::ffi;
use ff::format::Pixel;
use ff::frame::Video as VideoFrame;
use ff::packet::Ref;

/// Whether the demuxer marked the packet as decoded but not shown (outside of the edit list).
pub(super) fn is_discarded(packet: &ff::Packet) -> bool {
    // SAFETY: `as_ptr` points to the live AVPacket inside `packet`, and `flags` is a plain integer.
    let flags = unsafe { (*packet.as_ptr()).flags };
    flags & ffi::AV_PKT_FLAG_DISCARD != 0
}

/// Pixels of one picture of the stream, as the container says.
pub(super) fn picture_pixels(parameters: &ff::codec::Parameters) -> u64 {
    // SAFETY: `as_ptr` points to the live AVCodecParameters that `parameters` holds; the fields are plain integers.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    u64::from(width.unsigned_abs()) * u64::from(height.unsigned_abs())
}

/// How many frames the decoder holds back to put them in the order shown; it grows when a stream needs more.
pub(super) fn reordering_delay(decoder: &ff::decoder::Video) -> u32 {
    // SAFETY: `as_ptr` points to the live AVCodecContext that `decoder` owns; the field is a plain integer, written by
    // the calls that receive frames, which need `&mut`.
    let delay = unsafe { (*decoder.as_ptr()).has_b_frames };
    delay.max(0).unsigned_abs()
}

/// Tells a decoder that is not open yet to hold back at least `delay` frames.
pub(super) fn expect_reordering_delay(context: &mut ff::codec::Context, delay: u32) {
    // SAFETY: `as_mut_ptr` points to the live AVCodecContext that `context` owns; the field is a plain integer.
    unsafe {
        let field = &mut (*context.as_mut_ptr()).has_b_frames;
        *field = (*field).max(i32::try_from(delay).unwrap_or(i32::MAX));
    }
}

/// Makes the decoder start each picture from gray.
///
/// FFmpeg recycles picture buffers as they are. Where a damaged packet leaves a part of the picture undecoded, that part
/// would show whatever the buffer held, so the pixels would depend on what was read before.
pub(super) fn start_from_gray(context: &mut ff::codec::Context) {
    // SAFETY: `as_mut_ptr` points to the live AVCodecContext that `context` owns, which is not open yet; setting the
    // callback is what the field is for, and the function has the type that FFmpeg asks for.
    unsafe { (*context.as_mut_ptr()).get_buffer2 = Some(get_gray_buffer) };
}

/// FFmpeg's own `get_buffer2`, and then a fill. Keeps no state, so several decoder threads may call it at once.
unsafe extern "C" fn get_gray_buffer(
    context: *mut ffi::AVCodecContext,
    frame: *mut ffi::AVFrame,
    flags: i32,
) -> i32 {
    const GRAY: u8 = 128;
    // SAFETY: FFmpeg calls this with a valid context and frame. On success the default function has set `buf` to null
    // or to buffers of `size` bytes, and nobody else refers to them yet.
    unsafe {
        let code = ffi::avcodec_default_get_buffer2(context, frame, flags);
        if code >= 0 {
            for buffer in (*frame).buf.iter().filter(|buffer| !buffer.is_null()) {
                ptr::write_bytes((**buffer).data, GRAY, (**buffer).size);
            }
        }
        code
    }
}

/// Moves the demuxer to the last key frame at or before `timestamp`, in units of the stream's time base.
pub(super) fn seek_backward(
    input: &mut ff::format::context::Input,
    stream: usize,
    timestamp: i64,
) -> Result<(), Error> {
    let stream = i32::try_from(stream).map_err(|_| Error::StreamNotFound)?;
    // SAFETY: `as_mut_ptr` is the open format context that `input` owns and that we borrow exclusively; FFmpeg checks
    // the stream number.
    match unsafe {
        ffi::av_seek_frame(input.as_mut_ptr(), stream, timestamp, ffi::AVSEEK_FLAG_BACKWARD)
    } {
        code if code < 0 => Err(Error::from(code)),
        _ => Ok(()),
    }
}

/// Bytes of memory that the frame keeps alive.
pub(super) fn frame_bytes(frame: &VideoFrame) -> u64 {
    // SAFETY: `as_ptr` points to the live AVFrame inside `frame`; each non-null `buf` entry is a reference to a buffer
    // that lives at least as long as the frame.
    unsafe {
        (*frame.as_ptr())
            .buf
            .iter()
            .filter(|buffer| !buffer.is_null())
            .map(|buffer| (**buffer).size as u64)
            .sum()
    }
}

/// Whether memory made for one frame fits the other.
pub(super) fn have_same_layout(one: &VideoFrame, other: &VideoFrame) -> bool {
    (one.format(), one.width(), one.height()) == (other.format(), other.width(), other.height())
}

/// How the pixels of one plane lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    /// Bytes from one pixel to the next.
    pub(super) step: usize,
    /// The plane has one pixel for `2^shift_x` columns of the picture.
    pub(super) shift_x: u32,
    /// And for `2^shift_y` rows.
    pub(super) shift_y: u32,
}

/// The planes of a format whose pixels can be moved one by one; `None` for all others: those with pixels that share
/// bytes or chroma within a plane, with a palette, or in the memory of a device.
pub(super) fn planes(format: Pixel) -> Option<Vec<Plane>> {
    const APART: u64 = (ffi::AV_PIX_FMT_FLAG_PAL
        | ffi::AV_PIX_FMT_FLAG_BITSTREAM
        | ffi::AV_PIX_FMT_FLAG_HWACCEL
        | ffi::AV_PIX_FMT_FLAG_BAYER) as u64;
    let descriptor = format.descriptor()?;
    // SAFETY: descriptors are static tables of FFmpeg; the fields are plain numbers.
    let (flags, components) = unsafe {
        let descriptor = descriptor.as_ptr();
        ((*descriptor).flags, (*descriptor).comp)
    };
    if flags & APART != 0 {
        return None;
    }
    let mut planes: Vec<Plane> = Vec::new();
    for (number, component) in
        components.iter().enumerate().take(usize::from(descriptor.nb_components()))
    {
        let place = usize::try_from(component.plane).ok()?;
        let is_chroma = matches!(number, 1 | 2);
        let shift = |log2: u8| if is_chroma { u32::from(log2) } else { 0 };
        let plane = Plane {
            step: usize::try_from(component.step).ok().filter(|&step| step > 0)?,
            shift_x: shift(descriptor.log2_chroma_w()),
            shift_y: shift(descriptor.log2_chroma_h()),
        };
        match planes.get(place) {
            // Luma and chroma of packed 4:2:2 lie in one plane, with different steps.
            Some(known) if *known != plane => return None,
            Some(_) => {}
            None if place == planes.len() => planes.push(plane),
            // Planes whose components come in another order, such as those of GBR.
            None => {
                planes.resize(place + 1, plane);
            }
        }
    }
    Some(planes)
}

/// Copies the pixels, and what converting them and judging their soundness needs. Unlike a clone it leaves out side data,
/// which would pile up in a frame that is copied to again and again. False if there is no memory behind a frame, or they
/// are not alike.
pub(super) fn copy_picture(source: &VideoFrame, target: &mut VideoFrame) -> bool {
    if frame_bytes(target) == 0 || !have_same_layout(source, target) {
        return false;
    }
    // SAFETY: both point to live AVFrames of the same format and size, checked above; `target` is borrowed exclusively, was
    // made by `VideoFrame::new`, and so is writable. The fields are plain numbers.
    unsafe {
        let (from, to) = (source.as_ptr(), target.as_mut_ptr());
        if ffi::av_frame_copy(to, from) < 0 {
            return false;
        }
        (*to).flags = (*from).flags;
        (*to).decode_error_flags = (*from).decode_error_flags;
    }
    copy_colour(source, target);
    true
}

/// Copies the matrix and the range.
pub(super) fn copy_colour(source: &VideoFrame, target: &mut VideoFrame) {
    // SAFETY: both point to live AVFrames, `target` is borrowed exclusively. The fields are copied as they are through raw
    // pointers, so no enum value is ever made of them.
    unsafe {
        let (from, to) = (source.as_ptr(), target.as_mut_ptr());
        ptr::copy(ptr::addr_of!((*from).colorspace), ptr::addr_of_mut!((*to).colorspace), 1);
        ptr::copy(ptr::addr_of!((*from).color_range), ptr::addr_of_mut!((*to).color_range), 1);
    }
}

/// The colour description of a frame, as FFmpeg's plain numbers.
///
/// Files can hold values that the bindings' enums lack, so these are never turned into an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) matrix: i32,
    pub(super) range: i32,
}

impl Colour {
    pub(super) fn of(frame: &VideoFrame) -> Self {
        // SAFETY: `as_ptr` points to the live AVFrame inside `frame`. The fields are C enums, which have the size and
        // alignment of `i32`; they are read as such through raw pointers, so no invalid enum value is ever made.
        unsafe {
            let frame = frame.as_ptr();
            Self {
                matrix: ptr::addr_of!((*frame).colorspace).cast::<i32>().read(),
                range: ptr::addr_of!((*frame).color_range).cast::<i32>().read(),
            }
        }
    }
}

impl Colour {
    /// FFmpeg's names of the matrix and of the range.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        let matrix = match self.matrix {
            0 => "rgb",
            1 => "bt709",
            4 => "fcc",
            5 => "bt470bg",
            6 => "smpte170m",
            7 => "smpte240m",
            8 => "ycgco",
            9 => "bt2020nc",
            10 => "bt2020c",
            _ => "unknown",
        };
        let range = match self.range {
            1 => "tv",
            2 => "pc",
            _ => "unknown",
        };
        (matrix, range)
    }
}

/// The version of FFmpeg's demuxers, as one number.
pub(super) fn demuxer_version() -> u32 {
    // SAFETY: the function takes nothing, and returns a constant of the library.
    unsafe { ffi::avformat_version() }
}
