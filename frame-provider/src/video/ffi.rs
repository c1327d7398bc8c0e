//! The few functions that the safe FFmpeg bindings lack. All `unsafe` code of this crate that deals
//! with FFmpeg is here and in `scaler`.

#![allow(unsafe_code)]

use std::ptr;

use video_rs::ffmpeg as ff;

use ff::Error;
use ff::ffi;
use ff::format::Pixel;
use ff::frame::Video as VideoFrame;
use ff::packet::Ref;

/// Returns true if the demuxer marked the packet as decoded but not shown (outside of the edit
/// list).
pub(super) fn is_discarded(packet: &ff::Packet) -> bool {
    // SAFETY: `as_ptr` points to the live AVPacket inside `packet`, and `flags` is a plain integer.
    let flags = unsafe { (*packet.as_ptr()).flags };
    flags & ffi::AV_PKT_FLAG_DISCARD != 0
}

/// Returns the number of pixels of one picture of the stream, as the container says.
pub(super) fn picture_pixels(parameters: &ff::codec::Parameters) -> u64 {
    // SAFETY: `as_ptr` points to the live AVCodecParameters that `parameters` holds; the fields are
    // plain integers.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    u64::from(width.unsigned_abs()) * u64::from(height.unsigned_abs())
}

/// Returns the size of the stream's pictures, as the container says; 0 if it does not say.
pub(super) fn picture_size(parameters: &ff::codec::Parameters) -> (u32, u32) {
    // SAFETY: as above.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    (width.max(0).unsigned_abs(), height.max(0).unsigned_abs())
}

/// Returns the header that the container keeps for the decoder; empty if there is none.
pub(super) fn extradata(parameters: &ff::codec::Parameters) -> &[u8] {
    // SAFETY: `as_ptr` points to the live AVCodecParameters that `parameters` holds. Its
    // `extradata` is null or points to `extradata_size` bytes that live as long, and nothing writes
    // to them while `parameters` is borrowed.
    unsafe {
        let (data, size) =
            ((*parameters.as_ptr()).extradata, (*parameters.as_ptr()).extradata_size);
        match usize::try_from(size) {
            Ok(size) if !data.is_null() && size > 0 => std::slice::from_raw_parts(data, size),
            _ => &[],
        }
    }
}

/// Returns true if the stream is a cover picture or a row of thumbnails rather than a recording.
pub(super) fn is_picture_only(stream: &ff::format::stream::Stream<'_>) -> bool {
    const PICTURES: i32 = ffi::AV_DISPOSITION_ATTACHED_PIC | ffi::AV_DISPOSITION_TIMED_THUMBNAILS;
    // SAFETY: `as_ptr` points to the live AVStream of the format context that `stream` borrows; the
    // field is a plain integer.
    unsafe { (*stream.as_ptr()).disposition & PICTURES != 0 }
}

/// Attaches side data to a packet, replacing any of the same kind. Returns `None` if memory runs
/// out.
pub(super) fn set_side_data(
    packet: &mut ff::Packet,
    kind: ff::codec::packet::side_data::Type,
    data: &[u8],
) -> Option<()> {
    use ff::packet::Mut;
    // SAFETY: `as_mut_ptr` points to the live AVPacket that `packet` owns and that is borrowed
    // exclusively. FFmpeg returns null or a new buffer of the requested size, which belongs to the
    // packet.
    unsafe {
        let target =
            ffi::av_packet_new_side_data(packet.as_mut_ptr(), kind.into(), data.len() as _);
        if target.is_null() {
            return None;
        }
        ptr::copy_nonoverlapping(data.as_ptr(), target, data.len());
    }
    Some(())
}

/// Makes a packet with the time stamps, flags and side data of `packet` and another payload.
/// Returns `None` if memory runs out.
pub(super) fn with_payload(packet: &ff::Packet, payload: &[u8]) -> Option<ff::Packet> {
    use ff::packet::Mut;
    // The bindings assume that memory is available and that sizes fit.
    i32::try_from(payload.len()).ok()?;
    let mut copy = ff::Packet::copy(payload);
    // SAFETY: both point to live AVPackets, `copy` is borrowed exclusively; time stamps, flags and
    // side data are copied, the payload is not touched.
    let code = unsafe { ffi::av_packet_copy_props(copy.as_mut_ptr(), packet.as_ptr()) };
    (code >= 0).then_some(copy)
}

/// Returns how many frames the decoder holds back for reordering; the number grows if a stream
/// needs more.
pub(super) fn reordering_delay(decoder: &ff::decoder::Video) -> u32 {
    // SAFETY: `as_ptr` points to the live AVCodecContext that `decoder` owns; the field is a plain
    // integer, written by the calls that receive frames, which need `&mut`.
    let delay = unsafe { (*decoder.as_ptr()).has_b_frames };
    delay.max(0).unsigned_abs()
}

/// Tells a decoder that is not yet open to hold back at least `delay` frames.
pub(super) fn expect_reordering_delay(context: &mut ff::codec::Context, delay: u32) {
    // SAFETY: `as_mut_ptr` points to the live AVCodecContext that `context` owns; the field is a
    // plain integer.
    unsafe {
        let field = &mut (*context.as_mut_ptr()).has_b_frames;
        *field = (*field).max(i32::try_from(delay).unwrap_or(i32::MAX));
    }
}

/// Makes the decoder start each picture from gray.
///
/// FFmpeg reuses picture buffers without clearing them. If a damaged packet leaves part of the
/// picture undecoded, that part would show the previous content of the buffer, and the pixels would
/// depend on what was read before.
pub(super) fn start_from_gray(context: &mut ff::codec::Context) {
    // SAFETY: `as_mut_ptr` points to the live AVCodecContext that `context` owns, which is not open
    // yet; setting the callback is what the field is for, and the function has the type that FFmpeg
    // asks for.
    unsafe { (*context.as_mut_ptr()).get_buffer2 = Some(get_gray_buffer) };
}

/// Makes the decoder refuse pictures of more than `most` pixels before it allocates memory for
/// them.
pub(super) fn limit_pixels(context: &mut ff::codec::Context, most: u64) {
    // SAFETY: `as_mut_ptr` points to the live AVCodecContext that `context` owns; the field is a
    // plain integer.
    unsafe { (*context.as_mut_ptr()).max_pixels = i64::try_from(most).unwrap_or(i64::MAX) };
}

/// Calls FFmpeg's own `get_buffer2` and then fills the buffer. Keeps no state, so several decoder
/// threads may call it at once.
unsafe extern "C" fn get_gray_buffer(
    context: *mut ffi::AVCodecContext,
    frame: *mut ffi::AVFrame,
    flags: i32,
) -> i32 {
    const GRAY: u8 = 128;
    // SAFETY: FFmpeg calls this with a valid context and frame. On success the default function has
    // set `buf` to null or to buffers of `size` bytes, and nothing else refers to them yet.
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

/// Moves the demuxer to the last key frame at or before `timestamp`, in units of the stream's time
/// base.
pub(super) fn seek_backward(
    input: &mut ff::format::context::Input,
    stream: usize,
    timestamp: i64,
) -> Result<(), Error> {
    let stream = i32::try_from(stream).map_err(|_| Error::StreamNotFound)?;
    // SAFETY: `as_mut_ptr` is the open format context that `input` owns and that we borrow
    // exclusively; FFmpeg checks the stream number.
    match unsafe {
        ffi::av_seek_frame(input.as_mut_ptr(), stream, timestamp, ffi::AVSEEK_FLAG_BACKWARD)
    } {
        code if code < 0 => Err(Error::from(code)),
        _ => Ok(()),
    }
}

/// Returns the number of bytes of memory that the frame keeps alive.
pub(super) fn frame_bytes(frame: &VideoFrame) -> u64 {
    // SAFETY: `as_ptr` points to the live AVFrame inside `frame`; each non-null `buf` entry is a
    // reference to a buffer that lives at least as long as the frame.
    unsafe {
        (*frame.as_ptr())
            .buf
            .iter()
            .filter(|buffer| !buffer.is_null())
            .map(|buffer| (**buffer).size as u64)
            .sum()
    }
}

/// Returns true if memory allocated for one frame fits the other.
pub(super) fn have_same_layout(one: &VideoFrame, other: &VideoFrame) -> bool {
    (one.format(), one.width(), one.height()) == (other.format(), other.width(), other.height())
}

/// Layout of the pixels of one plane in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    /// Bytes from one pixel to the next.
    pub(super) step: usize,
    /// The plane has one pixel for `2^shift_x` columns of the picture.
    pub(super) shift_x: u32,
    /// The plane has one pixel for `2^shift_y` rows of the picture.
    pub(super) shift_y: u32,
}

/// Returns the planes of a format whose pixels can be moved one by one. Returns `None` for all
/// other formats: those whose pixels share bytes or chroma within a plane, have a palette, or lie
/// in the memory of a device.
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

/// Returns the number of significant samples per pixel, 1 (gray) or 3 (red, green, blue), for a
/// format of gray or RGB with more than 8 bits a sample. Returns `None` for all other formats,
/// including luma and chroma, whose values are not intensities.
pub(super) fn deep_channels(format: Pixel) -> Option<usize> {
    const ODD: u64 = (ffi::AV_PIX_FMT_FLAG_PAL
        | ffi::AV_PIX_FMT_FLAG_BITSTREAM
        | ffi::AV_PIX_FMT_FLAG_HWACCEL
        | ffi::AV_PIX_FMT_FLAG_BAYER
        | ffi::AV_PIX_FMT_FLAG_FLOAT) as u64;
    const RGB: u64 = ffi::AV_PIX_FMT_FLAG_RGB as u64;
    let descriptor = format.descriptor()?;
    // SAFETY: descriptors are static tables of FFmpeg; the fields are plain numbers.
    let (flags, depth) = unsafe {
        let descriptor = descriptor.as_ptr();
        ((*descriptor).flags, (*descriptor).comp[0].depth)
    };
    let is_deep = (9..=16).contains(&depth) && flags & ODD == 0;
    // Alpha, the second or the fourth component, is dropped.
    let channels = match descriptor.nb_components() {
        1 | 2 if flags & RGB == 0 => 1,
        3 | 4 if flags & RGB != 0 => 3,
        _ => return None,
    };
    is_deep.then_some(channels)
}

/// Returns the samples of a gray or RGB frame of more than 8 bits as stored, `[height, width,
/// channels]`; `None` for other frames.
pub(super) fn deep_samples(frame: &VideoFrame) -> Option<Vec<u16>> {
    let channels = deep_channels(frame.format())?;
    let descriptor = frame.format().descriptor()?;
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let (row_pixels, rows) = (i32::try_from(width).ok()?, i32::try_from(height).ok()?);
    if frame_bytes(frame) == 0 || width == 0 {
        return None;
    }
    let mut samples = vec![0; width * height * channels];
    let mut row = vec![0_u16; width];
    for (y, target) in (0..rows).zip(samples.chunks_exact_mut(width * channels)) {
        for channel in 0..channels {
            // SAFETY: `frame` is live and has memory for its format and size, so FFmpeg reads row
            // `y`, which exists, within its planes. It writes `width` samples of 2 bytes, which is
            // the length of `row`. The pointers to the planes are copied, since the function takes
            // them as mutable.
            unsafe {
                let mut planes = [ptr::null::<u8>(); 4];
                for (plane, data) in planes.iter_mut().zip((*frame.as_ptr()).data) {
                    *plane = data;
                }
                ffi::av_read_image_line2(
                    row.as_mut_ptr().cast(),
                    planes.as_mut_ptr(),
                    (*frame.as_ptr()).linesize.as_ptr(),
                    descriptor.as_ptr(),
                    0,
                    y,
                    i32::try_from(channel).ok()?,
                    row_pixels,
                    0,
                    size_of::<u16>() as i32,
                );
            }
            let places = target.iter_mut().skip(channel).step_by(channels);
            places.zip(&row).for_each(|(place, sample)| *place = *sample);
        }
    }
    Some(samples)
}

/// Copies the pixels, and the fields needed for converting them and judging their soundness. Unlike
/// a clone, it leaves out side data, which would accumulate in a frame that is reused as a target.
/// Returns false if a frame has no memory, or if the two differ in format or size.
pub(super) fn copy_picture(source: &VideoFrame, target: &mut VideoFrame) -> bool {
    if frame_bytes(target) == 0 || !have_same_layout(source, target) {
        return false;
    }
    // SAFETY: both point to live AVFrames of the same format and size, checked above; `target` is
    // borrowed exclusively, was made by `VideoFrame::new`, and so is writable. The fields are plain
    // numbers.
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
    // SAFETY: both point to live AVFrames, `target` is borrowed exclusively. The fields are copied
    // as they are through raw pointers, so no enum value is ever made of them.
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
        // SAFETY: `as_ptr` points to the live AVFrame inside `frame`. The fields are C enums, which
        // have the size and alignment of `i32`; they are read as such through raw pointers, so no
        // invalid enum value is ever made.
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
    /// Returns FFmpeg's names of the matrix and of the range.
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

/// Returns the version of FFmpeg's demuxers as one number.
pub(super) fn demuxer_version() -> u32 {
    // SAFETY: the function takes nothing, and returns a constant of the library.
    unsafe { ffi::avformat_version() }
}
