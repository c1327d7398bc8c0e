//! A video of the recording with the masks drawn in.

use std::path::Path;
use std::sync::OnceLock;

use video_rs::ffmpeg as ff;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::overlay::Overlay;
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};
use crate::sinks::contact_sheet::corner_text;
use crate::yuv::Yuv420;

/// Frames per second if the recording states none.
const DEFAULT_RATE: f64 = 25.0;
/// Number of encoder threads. It is fixed because the bytes of the video can depend on it, and the
/// default is the number of cores of the machine.
const THREADS: usize = 4;
/// Largest numerator and denominator of a frame rate: MPEG-4 part 2 stores them in 16 bits.
const LARGEST: u64 = 65_535;

/// Writes an MP4 file that video players and presentation programs can show: H.264 if FFmpeg has
/// libx264, else MPEG-4 part 2; `yuv420p`, without sound, at the recording's constant rate (25
/// frames per second if it has none).
///
/// Each frame's number is in its top left corner, with the name of its image if it has one. Each
/// object's number and name are at its mask. Masks with a [flag](crate::QualityFlag) have a red and
/// white outline and a red label that names the flag.
///
/// Such videos must have even sides: an odd side grows by one pixel, which repeats the last column
/// or row. Memory use is that of the encoder, plus FFmpeg's list of frames for the end of the file,
/// about 60 bytes per frame.
pub struct OverlayVideoSink {
    output: OutputFile,
    order: FrameOrder,
    size: (usize, usize),
    picture: Vec<u8>,
    overlay: Overlay,
    images: Vec<String>,
    yuv: Yuv420,
    encoder: ff::codec::encoder::video::Encoder,
    container: ff::format::context::Output,
    /// Seconds per frame.
    time_base: ff::Rational,
}

/// The encoder to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    H264,
    Mpeg4,
}

impl OverlayVideoSink {
    /// Creates the video.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created, or if FFmpeg lacks an encoder for
    /// it.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        initialise();
        let codec = match ff::encoder::find_by_name("libx264") {
            Some(_) => Codec::H264,
            None => Codec::Mpeg4,
        };
        Self::create_with(path, recording, overwrite, codec)
    }

    fn create_with(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
        codec: Codec,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let (width, height) = (recording.size.0 as usize, recording.size.1 as usize);
        let yuv = Yuv420::room_for(width, height);
        let rate = rational(recording.frames_per_second.unwrap_or(DEFAULT_RATE));
        let stream = ff::format::context::StreamIo::from_write_seek(output.try_clone()?);
        let (encoder, container) = stream
            .and_then(|stream| open(stream, (yuv.width, yuv.height), rate, codec))
            .map_err(|error| video_error(&output, error))?;
        Ok(Self {
            order: FrameOrder::new(path, recording.size, recording.frames),
            size: (width, height),
            picture: Vec::with_capacity(3 * recording.pixels()),
            overlay: Overlay::new((width, height), &recording.object_names),
            images: recording.image_names.clone(),
            yuv,
            encoder,
            container,
            time_base: rate.invert(),
            output,
        })
    }

    fn encode(&mut self, index: usize) -> Result<(), ff::Error> {
        let (width, height) = (self.yuv.width as u32, self.yuv.height as u32);
        let mut frame = ff::frame::Video::new(ff::format::Pixel::YUV420P, width, height);
        let planes = [
            (&self.yuv.y, self.yuv.width),
            (&self.yuv.u, self.yuv.width / 2),
            (&self.yuv.v, self.yuv.width / 2),
        ];
        for (plane, (pixels, width)) in planes.into_iter().enumerate() {
            let stride = frame.stride(plane);
            let rows = frame.data_mut(plane).chunks_mut(stride);
            for (row, pixels) in rows.zip(pixels.chunks_exact(width)) {
                row[..width].copy_from_slice(pixels);
            }
        }
        frame.set_pts(Some(index as i64));
        self.encoder.send_frame(&frame)?;
        self.write_packets()
    }

    /// Writes the packets that the encoder has ready.
    fn write_packets(&mut self) -> Result<(), ff::Error> {
        let container_base = self.container.stream(0).map_or(self.time_base, |s| s.time_base());
        let mut packet = ff::Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(ff::Error::Eof) => return Ok(()),
                Err(ff::Error::Other { errno: ff::error::EAGAIN }) => return Ok(()),
                Err(error) => return Err(error),
            }
            packet.set_stream(0);
            // Without a duration per packet, the last frame would have none.
            packet.set_duration(1);
            packet.rescale_ts(self.time_base, container_base);
            packet.write_interleaved(&mut self.container)?;
        }
    }

    fn end(&mut self) -> Result<(), ff::Error> {
        self.encoder.send_eof()?;
        self.write_packets()?;
        self.container.write_trailer()
    }
}

/// Opens an encoder for frames of `size` and an MP4 file around it, and writes the file's header.
fn open(
    stream: ff::format::context::StreamIo,
    (width, height): (usize, usize),
    rate: ff::Rational,
    codec: Codec,
) -> Result<(ff::codec::encoder::video::Encoder, ff::format::context::Output), ff::Error> {
    let mut container = ff::format::output_to_stream(stream, None, Some("mp4"))?;
    let found = match codec {
        Codec::H264 => ff::encoder::find_by_name("libx264"),
        Codec::Mpeg4 => ff::encoder::find(ff::codec::Id::MPEG4),
    };
    let found = found.ok_or(ff::Error::EncoderNotFound)?;
    let mut context = ff::codec::Context::new_with_codec(found);
    context.set_threading(ff::threading::Config { count: THREADS, ..Default::default() });
    let mut flags = ff::codec::Flags::GLOBAL_HEADER | ff::codec::Flags::BITEXACT;
    let mut options = ff::Dictionary::new();
    if codec == Codec::H264 {
        options.set("preset", "veryfast");
        // Visually close to the original, including outlines.
        options.set("crf", "18");
        // Log warnings and errors only, not the encoder's summary.
        options.set("x264-params", "log=1");
    } else {
        flags |= ff::codec::Flags::QSCALE;
    }
    context.set_flags(flags);
    let mut video = context.encoder().video()?;
    video.set_width(width as u32);
    video.set_height(height as u32);
    video.set_format(ff::format::Pixel::YUV420P);
    video.set_time_base(rate.invert());
    video.set_frame_rate(Some(rate));
    // A key frame every two seconds, so that players can seek quickly. Frames are stored in display
    // order, so that the file starts at time 0.
    video.set_gop((2.0 * f64::from(rate)).round().clamp(1.0, 250.0) as u32);
    video.set_max_b_frames(0);
    video.set_colorspace(ff::color::Space::BT709);
    video.set_color_range(ff::color::Range::MPEG);
    video.set_color_primaries(ff::color::Primaries::BT709);
    video.set_color_transfer_characteristic(ff::color::TransferCharacteristic::BT709);
    if codec == Codec::Mpeg4 {
        /// FFmpeg's unit of quality (`FF_QP2LAMBDA`).
        const LAMBDA: i32 = 118;
        video.set_global_quality(2 * LAMBDA);
    }
    let encoder = video.open_with(options)?;
    let mut track = container.add_stream(found)?;
    track.set_parameters(&encoder);
    track.set_time_base(rate.invert());
    track.set_avg_frame_rate(rate);
    track.set_rate(rate);
    let mut muxing = ff::Dictionary::new();
    // Leave out library versions and anything else that differs between machines.
    muxing.set("fflags", "+bitexact");
    // Time units in which every frame, and so the whole video, has an exact length; the default
    // unit is a millisecond.
    let units = u64::from(rate.numerator().unsigned_abs());
    let units = units * 10_000_u64.div_ceil(units.max(1));
    muxing.set("movie_timescale", &units.to_string());
    container.write_header_with(muxing)?;
    Ok((encoder, container))
}

impl MaskSink for OverlayVideoSink {
    fn wants_image(&self, _index: usize) -> bool {
        true
    }

    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        let image = self.order.image(frame)?;
        self.picture.clear();
        self.picture.extend_from_slice(image);
        let corner = corner_text(frame, self.images.get(frame.index));
        self.overlay.draw(&mut self.picture, frame.objects, &corner);
        self.yuv.take(&self.picture, self.size.0, self.size.1);
        self.encode(frame.index).map_err(|error| video_error(&self.output, error))
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.end().map_err(|error| video_error(&self.output, error))?;
        let Self { output, encoder, container, .. } = *self;
        drop(encoder);
        // Flushes what is still buffered.
        drop(container);
        output.complete()
    }
}

/// Initialises FFmpeg once; its messages go to `tracing` from then on.
fn initialise() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        if let Err(error) = video_rs::init() {
            // If this matters, the encoder will report it.
            tracing::debug!("FFmpeg: {error}");
        }
    });
}

/// Returns the simplest fraction that matches the rate as closely as a video can store it:
/// 30000/1001 for 29.97002997.
fn rational(rate: f64) -> ff::Rational {
    // Continued fractions: the rate of a recording is a fraction of small numbers that was
    // converted to a float.
    let (mut above, mut below) = ((1_u64, 0_u64), (0_u64, 1_u64));
    let mut rest = rate.clamp(1.0 / LARGEST as f64, LARGEST as f64);
    for _ in 0..32 {
        let whole = rest.floor();
        let next = (whole as u64)
            .checked_mul(above.0)
            .and_then(|n| n.checked_add(below.0))
            .zip((whole as u64).checked_mul(above.1).and_then(|n| n.checked_add(below.1)));
        let Some(next) = next.filter(|next| next.0 <= LARGEST && next.1 <= LARGEST) else { break };
        (below, above) = (above, next);
        let fraction = rest - whole;
        if (above.0 as f64 / above.1 as f64 - rate).abs() < 1e-9 * rate || fraction <= 0.0 {
            break;
        }
        rest = 1.0 / fraction;
    }
    let (numerator, denominator) = if above.0 == 0 { (1, LARGEST) } else { above };
    ff::Rational(numerator as i32, denominator as i32)
}

fn video_error(output: &OutputFile, error: ff::Error) -> WriteError {
    match error {
        ff::Error::Other { errno } => output.io_error(std::io::Error::from_raw_os_error(errno)),
        other => WriteError::Encode { path: output.path().to_owned(), message: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::masks;
    use std::process::Command;

    /// Writes six frames of 5 x 3 that become brighter, with an object on the left.
    fn write(path: &Path, rate: Option<f64>, codec: Codec) {
        let recording =
            RecordingInfo { frames_per_second: rate, ..RecordingInfo::new((37, 21), 6) };
        let mut sink =
            Box::new(OverlayVideoSink::create_with(path, &recording, false, codec).unwrap());
        let row = format!("{}{}", "1".repeat(12), "0".repeat(25));
        let drawn = [row.as_str(); 21].join(" ");
        let objects = masks(&[(1, &drawn)]);
        for index in 0..6 {
            assert!(sink.wants_image(index));
            let image = vec![40 * index as u8; 37 * 21 * 3];
            sink.write(&MaskFrame::new(index, &objects).with_image(Some(&image))).unwrap();
        }
        sink.finish().unwrap().publish().unwrap();
    }

    fn tool(name: &str, arguments: &[&str], path: &Path) -> Vec<u8> {
        let output = Command::new(name)
            .args(["-v", "error"])
            .args(arguments)
            .arg(path)
            .args(if name == "ffmpeg" {
                &["-f", "rawvideo", "-pix_fmt", "rgb24", "-"][..]
            } else {
                &[]
            })
            .output()
            .expect("the tests need the programs of FFmpeg");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn players_get_an_even_size_and_the_exact_duration() {
        for (codec, name) in [(Codec::H264, "h264"), (Codec::Mpeg4, "mpeg4")] {
            if codec == Codec::H264 && ff::encoder::find_by_name("libx264").is_none() {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("overlay.mp4");
            initialise();
            write(&path, Some(30000.0 / 1001.0), codec);
            let entries = "stream=codec_name,width,height,pix_fmt,avg_frame_rate,nb_read_frames,start_pts,color_space:format=duration";
            let shown = tool(
                "ffprobe",
                &["-count_frames", "-show_entries", entries, "-of", "default=nk=0:nw=1", "-i"],
                &path,
            );
            let shown = String::from_utf8(shown).unwrap();
            for expected in [
                &format!("codec_name={name}"),
                "width=38",
                "height=22",
                "pix_fmt=yuv420p",
                "color_space=bt709",
                "avg_frame_rate=30000/1001",
                "nb_read_frames=6",
                "start_pts=0",
                "duration=0.200200",
            ] {
                assert!(shown.lines().any(|line| line == expected), "{expected} in\n{shown}");
            }
            // The object is tinted; the rest of the frame is not.
            let pixels = tool("ffmpeg", &["-i"], &path);
            assert_eq!(pixels.len(), 6 * 38 * 22 * 3);
            let at = |frame: usize, x: usize, y: usize| {
                let at = 3 * (frame * 38 * 22 + y * 38 + x);
                [0, 1, 2].map(|rgb| i32::from(pixels[at + rgb]))
            };
            let close = |found: [i32; 3], expected: [i32; 3]| {
                assert!(
                    (0..3).all(|i| (found[i] - expected[i]).abs() < 12),
                    "{found:?} {expected:?}"
                );
            };
            close(at(3, 30, 10), [120, 120, 120]);
            close(at(3, 37, 21), [120, 120, 120]);
            close(at(3, 6, 10), [156, 133, 80]);
        }
    }

    #[test]
    fn the_same_frames_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |name: &str| {
            let path = folder.path().join(name);
            initialise();
            write(&path, None, Codec::Mpeg4);
            std::fs::read(path).unwrap()
        };
        assert_eq!(bytes("a.mp4"), bytes("b.mp4"));
    }

    #[test]
    fn a_frame_without_its_picture_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overlay.mp4");
        let mut sink =
            OverlayVideoSink::create(&path, &RecordingInfo::new((4, 4), 1), false).unwrap();
        let refused = sink.write(&MaskFrame::new(0, &[])).unwrap_err();
        assert!(matches!(refused, WriteError::Missing { frame: 0, .. }), "{refused}");
        drop(sink);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn rates_become_the_fractions_that_they_were() {
        for (numerator, denominator) in [
            (25, 1),
            (30000, 1001),
            (24000, 1001),
            (15, 2),
            (1, 10),
            (120, 1),
            (12345, 679),
            (1, 3600),
        ] {
            let rate = f64::from(numerator) / f64::from(denominator);
            let ff::Rational(n, d) = rational(rate);
            assert_eq!((n, d), (numerator, denominator));
        }
        for odd in [1e-9, 1e12, 3.123_456_789, std::f64::consts::PI] {
            let ff::Rational(n, d) = rational(odd);
            assert!(n > 0 && d > 0 && n <= 65_535 && d <= 65_535, "{odd} {n}/{d}");
        }
    }
}
