//! Conversion by swscale: from a decoder's format to RGB, at the same size or scaled.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::ptr::{self, NonNull};
use std::thread;

use video_rs::ffmpeg as ff;

use ff::Error;
use ff::ffi;
use ff::format::Pixel;
use ff::frame::Video as VideoFrame;

use super::ffi::Colour;
use crate::size::FrameSize;

/// The input that a [`Scaler`] is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScalerInput {
    pub(super) format: Pixel,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) colour: Colour,
}

impl ScalerInput {
    pub(crate) fn of(frame: &VideoFrame) -> Self {
        Self {
            format: frame.format(),
            width: frame.width(),
            height: frame.height(),
            colour: Colour::of(frame),
        }
    }

    pub(super) fn size(&self) -> FrameSize {
        FrameSize { width: self.width, height: self.height }
    }
}

/// A swscale context, freed when it is dropped.
struct Context(NonNull<ffi::SwsContext>);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context came from `sws_alloc_context`, and nothing else refers to it.
        unsafe { ffi::sws_freeContext(self.0.as_ptr()) };
    }
}

/// Largest number of threads for one scaling. Additional threads only wait for each other.
const MOST_THREADS: usize = 4;

/// swscale writes whole vectors, so each row, including the last one, needs room at its end.
const LARGEST_VECTOR: usize = 64;

impl Context {
    /// Makes a context for conversion to RGB24, which `sws_scale_frame` runs on `threads` threads.
    fn new(
        input: &ScalerInput,
        output: FrameSize,
        flags: u32,
        threads: usize,
    ) -> Result<Self, Error> {
        if input.width == 0 || input.height == 0 || input.format == Pixel::None {
            return Err(Error::InvalidData);
        }
        // SAFETY: it takes nothing, and returns a context or null.
        let context = unsafe { ffi::sws_alloc_context() };
        let context = NonNull::new(context).map(Self).ok_or(Error::Unknown)?;
        let format = |pixel: Pixel| ffi::AVPixelFormat::from(pixel) as i64;
        let settings: [(&CStr, i64); 8] = [
            (c"srcw", input.width.into()),
            (c"srch", input.height.into()),
            (c"src_format", format(input.format)),
            (c"dstw", output.width.into()),
            (c"dsth", output.height.into()),
            (c"dst_format", format(Pixel::RGB24)),
            (c"sws_flags", flags.into()),
            (c"threads", threads as i64),
        ];
        for (name, value) in settings {
            // SAFETY: the context is live and begins with its AVClass, as `av_opt_set_int` asks
            // for; the name is a C string. Values out of range are refused.
            let code =
                unsafe { ffi::av_opt_set_int(context.0.as_ptr().cast(), name.as_ptr(), value, 0) };
            if code < 0 {
                return Err(Error::from(code));
            }
        }
        // SAFETY: the context is live and not initialised yet; null stands for no filters.
        match unsafe { ffi::sws_init_context(context.0.as_ptr(), ptr::null_mut(), ptr::null_mut()) }
        {
            code if code < 0 => Err(Error::from(code)),
            _ => Ok(context),
        }
    }
}

/// Converts frames of one kind to RGB24.
pub(crate) struct Scaler {
    context: Context,
    input: ScalerInput,
    output: FrameSize,
    /// Describes the caller's memory to swscale; empty between runs.
    target: VideoFrame,
}

// SAFETY: an SwsContext belongs to no thread: FFmpeg asks only that no two threads use one at the
// same time. Every use of the context goes through `&mut self`, the type is not `Sync`, and its
// only owner keeps it behind a `Mutex`.
unsafe impl Send for Scaler {}

impl Scaler {
    /// Makes a converter at the same size, on one core: the conversion is nearly a copy. Threads
    /// saved no time, not even next to a decoder without threads (MJPEG), and cost a twelfth more
    /// processor time.
    ///
    /// Flags and colour details are those of the `ffmpeg` program's automatic conversion, so the
    /// pixels are the same too. Accurate rounding and full chroma interpolation are left out on
    /// purpose: OpenCV and the `ffmpeg` program do not use them, and they change results by up to
    /// 162 levels.
    pub(super) fn new(input: ScalerInput) -> Result<Self, Error> {
        Self::with(input, input.size(), ffi::SWS_BICUBIC as u32, 1)
    }

    /// Makes a scaler whose pixels are those of the `ffmpeg` program's
    /// `scale=width:height:flags=bilinear`, on several cores like that program.
    pub(crate) fn bilinear(input: ScalerInput, output: FrameSize) -> Result<Self, Error> {
        Self::with(input, output, ffi::SWS_BILINEAR as u32, threads())
    }

    fn with(
        input: ScalerInput,
        output: FrameSize,
        flags: u32,
        threads: usize,
    ) -> Result<Self, Error> {
        let mut context = Context::new(&input, output, flags, threads)?;
        set_colour(&mut context, input.colour);
        Ok(Self { context, input, output, target: VideoFrame::empty() })
    }

    /// Returns the size of the output.
    pub(super) fn output(&self) -> FrameSize {
        self.output
    }

    /// Returns true if the scaler accepts such frames and outputs that size.
    pub(super) fn fits(&self, input: ScalerInput, output: FrameSize) -> bool {
        self.input == input && self.output == output
    }

    /// Returns the number of bytes from one row of the output to the next.
    pub(crate) fn stride(&self) -> usize {
        3 * (self.output.width as usize).next_multiple_of(LARGEST_VECTOR)
    }

    /// Returns the number of bytes of the output with all padding.
    pub(super) fn bytes(&self) -> usize {
        self.stride() * self.output.height as usize + LARGEST_VECTOR
    }

    /// Converts `frame`, which must match the input that the scaler was made for, into `output`.
    /// Replaces the content of `output` by rows of RGB, [`Scaler::stride`] bytes apart. The bytes
    /// between and after the rows are 0 or left over from earlier.
    pub(crate) fn run(&mut self, frame: &VideoFrame, output: &mut Vec<u8>) -> Result<(), Error> {
        if ScalerInput::of(frame) != self.input {
            return Err(Error::InputChanged);
        }
        let as_int = |value: usize| i32::try_from(value).map_err(|_| Error::InvalidData);
        let stride = as_int(self.stride())?;
        let (width, height) =
            (as_int(self.output.width as usize)?, as_int(self.output.height as usize)?);
        // Reused buffers are long enough except for the padding, so this costs next to nothing.
        output.resize(self.bytes(), 0);
        // SAFETY: `target` is a live AVFrame, borrowed exclusively and empty. It is told of
        // `output`, which is borrowed exclusively too and holds `height` rows of `stride` bytes;
        // rows are whole vectors and another one follows the last, so nothing is written beyond.
        // The reference to that memory frees nothing, and it is gone before this block ends:
        // swscale releases its own reference when it returns, and the frame does when it is
        // unreferenced. The context was made for frames of just this format and size, checked
        // above, and `frame` holds valid planes with their strides.
        let code = unsafe {
            let target = self.target.as_mut_ptr();
            let memory = ffi::av_buffer_create(
                output.as_mut_ptr(),
                output.len() as _,
                Some(keep),
                ptr::null_mut(),
                0,
            );
            if memory.is_null() {
                return Err(Error::Other { errno: ff::util::error::ENOMEM });
            }
            (*target).buf[0] = memory;
            (*target).data[0] = output.as_mut_ptr();
            (*target).linesize[0] = stride;
            ((*target).width, (*target).height) = (width, height);
            (*target).format = ffi::AVPixelFormat::AV_PIX_FMT_RGB24 as i32;
            let code = ffi::sws_scale_frame(self.context.0.as_ptr(), target, frame.as_ptr());
            ffi::av_frame_unref(target);
            code
        };
        if code < 0 { Err(Error::from(code)) } else { Ok(()) }
    }

    /// Moves the rows written by [`Scaler::run`] together.
    pub(crate) fn remove_padding(&self, data: &mut Vec<u8>) {
        let (row, stride) = (self.output.width as usize * 3, self.stride());
        if stride != row {
            for y in 1..self.output.height as usize {
                data.copy_within(y * stride..y * stride + row, y * row);
            }
        }
        data.truncate(self.output.rgb_bytes());
    }
}

/// Returns the number of threads: as many as there are cores, up to [`MOST_THREADS`].
fn threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get()).min(MOST_THREADS)
}

/// Frees nothing: the memory that swscale writes to belongs to a `Vec`.
unsafe extern "C" fn keep(_opaque: *mut c_void, _data: *mut u8) {}

/// Sets the matrix and the range in swscale, by the rules of FFmpeg's `scale` filter.
fn set_colour(context: &mut Context, colour: Colour) {
    // Values outside of the standard's table, and RGB's 0, count as unspecified.
    let matrix =
        if (1..=10).contains(&colour.matrix) && colour.matrix != 8 { colour.matrix } else { 2 };
    let full_range = match colour.range {
        range if range == ffi::AVColorRange::AVCOL_RANGE_JPEG as i32 => Some(1),
        range if range == ffi::AVColorRange::AVCOL_RANGE_MPEG as i32 => Some(0),
        _ => None,
    };
    let (mut inverse, mut forward) = (ptr::null_mut(), ptr::null_mut());
    let (mut source_range, mut target_range, mut brightness, mut contrast, mut saturation) =
        (0, 0, 0, 0, 0);
    // SAFETY: the context is live and borrowed exclusively. `sws_getColorspaceDetails` writes its
    // seven results through valid pointers; `forward` then points into the context and is only
    // passed back to it. `sws_getCoefficients` returns a pointer to static tables. A negative
    // result means that the conversion takes no such details (RGB sources), and the context is
    // unchanged.
    unsafe {
        let found = ffi::sws_getColorspaceDetails(
            context.0.as_ptr(),
            &mut inverse,
            &mut source_range,
            &mut forward,
            &mut target_range,
            &mut brightness,
            &mut contrast,
            &mut saturation,
        );
        if found < 0 {
            return;
        }
        ffi::sws_setColorspaceDetails(
            context.0.as_ptr(),
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
