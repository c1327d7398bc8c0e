//! Known formats that this crate does not read. They are rejected by name and with a remedy,
//! instead of with FFmpeg's error.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::FrameError;
use crate::tiff::is_tiff;

/// Number of bytes inspected at the start of a file.
const HEAD_BYTES: u64 = 128;

/// A format, recognised by the start of the file, by its ending, or by both.
struct Format {
    name: &'static str,
    /// In lower case.
    endings: &'static [&'static str],
    /// Possible first bytes of such files; empty if only the ending identifies the format.
    starts: &'static [&'static [u8]],
    remedy: &'static str,
}

/// Remedy for microscope formats that Bio-Formats reads.
const BIO_FORMATS: &str =
    "convert it to OME-TIFF, for example with Bio-Formats: bfconvert FILE out.ome.tif";

/// Remedy for arrays that Python reads.
const TIFFFILE: &str = "save the frames as a TIFF stack, for example in Python with tifffile.imwrite(\"out.tif\", frames, \
                        bigtiff=True), frames being an array [frames, height, width]";

/// Remedy for arrays that are supported if each is saved on its own.
const NPY: &str = "save its frames by themselves, in Python with numpy.save(\"out.npy\", frames), frames being an array \
                   [frames, height, width]";

/// Remedy for camera formats without a free and widespread reader.
const EXPORT: &str = "export it as AVI, MP4 or a TIFF stack with the program that recorded it";

/// FFmpeg 5.1 reports such a file as damaged, though it reads WebP with a single image.
const ANIMATED_WEBP: &str = "an animated WebP";

/// Remedy for animations without a reader.
const FRAMES: &str = "save its frames as PNG files, for example with ImageMagick: magick FILE -coalesce frames/%05d.png, and open \
                      that folder";

/// Name of files whose ending does not tell their content.
const RAW_NAME: &str = "a file of pixels without a header";

/// Remedy for pixels without a header.
const RAW: &str = "convert it with its size and pixel format, for example: ffmpeg -f rawvideo -pixel_format gray \
                   -video_size WIDTHxHEIGHT -framerate RATE -i FILE -c:v ffv1 out.mkv";

const FORMATS: &[Format] = &[
    Format {
        name: "an Imaris file (HDF5)",
        endings: &["ims"],
        starts: &[b"\x89HDF\r\n\x1a\n"],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "an NWB file (HDF5)",
        endings: &["nwb"],
        starts: &[b"\x89HDF\r\n\x1a\n"],
        remedy: TIFFFILE,
    },
    Format {
        name: "an HDF5 file",
        endings: &["h5", "hdf5", "hdf", "he5"],
        starts: &[b"\x89HDF\r\n\x1a\n"],
        remedy: TIFFFILE,
    },
    Format {
        name: "an archive of NumPy arrays",
        endings: &["npz"],
        starts: &[b"PK\x03\x04"],
        remedy: NPY,
    },
    Format {
        name: "a zipped Zarr array",
        endings: &["zarr.zip", "zarr"],
        starts: &[b"PK\x03\x04"],
        remedy: TIFFFILE,
    },
    Format {
        name: "a zip archive",
        endings: &["zip"],
        starts: &[b"PK\x03\x04"],
        remedy: "unpack it, and open the recording or the folder of images in it",
    },
    Format { name: "a MATLAB file", endings: &["mat"], starts: &[b"MATLAB "], remedy: TIFFFILE },
    Format {
        name: "a Nikon ND2 file",
        endings: &["nd2"],
        starts: &[b"\xda\xce\xbe\x0a"],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "a Zeiss CZI file",
        endings: &["czi"],
        starts: &[b"ZISRAWFILE"],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "a Leica LIF file",
        endings: &["lif", "xlef", "lof"],
        starts: &[],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "an Olympus file",
        endings: &["oib", "oif", "oir", "vsi", "ets"],
        starts: &[b"OLYMPUSRAWFORMAT"],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "a SlideBook file",
        endings: &["sld", "sldy"],
        starts: &[],
        remedy: BIO_FORMATS,
    },
    // `.dv` is an ending of DeltaVision files, but also of DV video.
    Format { name: "an MRC file", endings: &["mrc"], starts: &[], remedy: BIO_FORMATS },
    Format {
        name: "a Gatan DigitalMicrograph file",
        endings: &["dm3", "dm4"],
        starts: &[],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "an Andor SIF file",
        endings: &["sif"],
        starts: &[b"Andor Technology Multi-Channel File"],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "a Princeton Instruments SPE file",
        endings: &["spe"],
        starts: &[],
        remedy: BIO_FORMATS,
    },
    Format { name: "a DICOM file", endings: &["dcm"], starts: &[], remedy: BIO_FORMATS },
    Format {
        name: "a FITS file",
        endings: &["fits", "fit", "fts"],
        starts: &[b"SIMPLE  ="],
        remedy: BIO_FORMATS,
    },
    Format {
        name: "a StreamPix (Norpix) sequence",
        endings: &[],
        starts: &[b"\xed\xfe\0\0N\0o\0r\0p\0i\0x\0"],
        remedy: EXPORT,
    },
    Format { name: "an Inscopix movie", endings: &["isxd"], starts: &[], remedy: EXPORT },
    Format { name: "a Scanbox recording", endings: &["sbx"], starts: &[], remedy: TIFFFILE },
    Format { name: "a Photron recording", endings: &["mraw", "cihx"], starts: &[], remedy: EXPORT },
    Format {
        name: "a Fly Movie Format file",
        endings: &["fmf", "ufmf", "sbfmf"],
        starts: &[b"FMF", b"ufmf"],
        remedy: EXPORT,
    },
    Format {
        name: "a memory-mapped array",
        endings: &["mmap", "memmap"],
        starts: &[],
        remedy: TIFFFILE,
    },
    Format { name: RAW_NAME, endings: &["raw", "bin", "dat"], starts: &[], remedy: RAW },
];

/// Returns an error for a file in a known format that this crate does not read.
///
/// The start of a file takes precedence over its ending: a video is read regardless of its name.
pub(crate) fn refuse_file(path: &Path) -> Result<(), FrameError> {
    // Pipes and folders are left to the code that opens them.
    if !path.is_file() {
        return Ok(());
    }
    let mut head = Vec::new();
    if let Ok(file) = File::open(path) {
        // The bytes read before an error are useful too.
        let _ = file.take(HEAD_BYTES).read_to_end(&mut head);
    }
    if is_animated_webp(&head) {
        return Err(refusal(path, ANIMATED_WEBP, FRAMES));
    }
    match format_of(&path.to_string_lossy().to_ascii_lowercase(), &head) {
        Some(format) => Err(refusal(path, format.name, format.remedy)),
        None => Ok(()),
    }
}

/// Returns an error if a still image, whose first bytes are `head`, holds an animation.
pub(crate) fn refuse_animation(path: &Path, head: &[u8]) -> Result<(), FrameError> {
    if is_animated_webp(head) {
        return Err(refusal(path, ANIMATED_WEBP, FRAMES));
    }
    if is_animated_png(head) {
        let what = "is an animated PNG, of which only the first frame would be read as an image; to read all frames as a video, \
                    rename it so that it ends with .apng";
        return Err(FrameError::Unsupported { path: path.to_owned(), what: what.to_owned() });
    }
    Ok(())
}

/// Returns true if the file has the chunk `acTL`, which states the number of frames and precedes
/// the picture.
fn is_animated_png(head: &[u8]) -> bool {
    let Some(mut rest) = head.strip_prefix(b"\x89PNG\r\n\x1a\n") else { return false };
    while let Some((&[a, b, c, d, ref kind @ ..], after)) = rest.split_first_chunk::<8>() {
        match kind {
            b"acTL" => {
                let frames = after.first_chunk().map_or(0, |frames| u32::from_be_bytes(*frames));
                return frames > 1;
            }
            b"IDAT" => return false,
            _ => {}
        }
        let checksum = 4;
        let next = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_add(checksum);
        rest = after.get(next..).unwrap_or_default();
    }
    false
}

/// Returns true if the flags of the extended file format say that the file is animated.
fn is_animated_webp(head: &[u8]) -> bool {
    const ANIMATION: u8 = 2;
    let is_webp = head.starts_with(b"RIFF") && head.get(8..16) == Some(b"WEBPVP8X");
    is_webp && head.get(20).is_some_and(|flags| flags & ANIMATION != 0)
}

fn format_of(name: &str, head: &[u8]) -> Option<&'static Format> {
    let has_ending = |format: &Format| {
        format
            .endings
            .iter()
            .any(|ending| name.strip_suffix(ending).is_some_and(|before| before.ends_with('.')))
    };
    let has_start = |format: &Format| format.starts.iter().any(|start| head.starts_with(start));
    let both = FORMATS.iter().find(|format| has_start(format) && has_ending(format));
    // Of the formats with the same start, the last one is the most general.
    let general = || FORMATS.iter().rev().find(|format| has_start(format));
    let by_name = || {
        let is_video = is_video_or_image(head);
        FORMATS.iter().find(|format| {
            // Some microscopes write TIFF files that show an overview only.
            let is_recording = is_video || format.name == RAW_NAME && is_tiff(head);
            has_ending(format) && !is_recording
        })
    };
    both.or_else(general).or_else(by_name)
}

/// Returns true if a file starts like an image or a video that FFmpeg reads, so that an ending such
/// as `.dat` or `.raw` does not matter.
fn is_video_or_image(head: &[u8]) -> bool {
    const STARTS: [&[u8]; 9] = [
        b"\x1a\x45\xdf\xa3",
        b"\0\0\x01\xba",
        b"\0\0\x01\xb3",
        b"FLV",
        b"OggS",
        b"\xff\xd8\xff",
        b"\x89PNG",
        b"YUV4MPEG2",
        b"GIF8",
    ];
    let is_avi = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ");
    let is_mp4 = head.get(4..8) == Some(b"ftyp");
    let is_transport_stream = head.first() == Some(&0x47);
    is_avi || is_mp4 || is_transport_stream || STARTS.iter().any(|start| head.starts_with(start))
}

/// Returns an error if a folder is a Zarr or N5 array.
pub(crate) fn refuse_folder(folder: &Path) -> Result<(), FrameError> {
    let ending = folder.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let holds = |name: &str| folder.join(name).is_file();
    if ending == "zarr" || [".zgroup", ".zarray", ".zattrs", "zarr.json"].into_iter().any(holds) {
        return Err(refusal(folder, "a Zarr array", TIFFFILE));
    }
    if ending == "n5" {
        return Err(refusal(folder, "an N5 array", TIFFFILE));
    }
    Ok(())
}

fn refusal(path: &Path, name: &str, remedy: &str) -> FrameError {
    FrameError::Unsupported {
        path: path.to_owned(),
        what: format!("is {name}, which is not read; {remedy}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_counts_before_the_ending() {
        let name = |name: &str, head: &[u8]| format_of(name, head).map(|format| format.name);
        let hdf5: &[u8] = b"\x89HDF\r\n\x1a\n\0\0";
        assert_eq!(name("a.h5", hdf5), Some("an HDF5 file"));
        assert_eq!(name("a.ims", hdf5), Some("an Imaris file (HDF5)"));
        assert_eq!(name("a.nwb", hdf5), Some("an NWB file (HDF5)"));
        assert_eq!(name("a.avi", hdf5), Some("an HDF5 file"));
        assert_eq!(name("a.mat", hdf5), Some("an HDF5 file"), "MATLAB 7.3");
        assert_eq!(name("a.npz", b"PK\x03\x04"), Some("an archive of NumPy arrays"));
        assert_eq!(name("movie", b"PK\x03\x04"), Some("a zip archive"));
        assert_eq!(name("a.vsi", b"II*\0"), Some("an Olympus file"));
        assert_eq!(name("a.dat", b"\0\0\x01\xba"), None, "a video CD");
        assert_eq!(name("a.dat", b"II*\0"), None);
        assert_eq!(name("a.raw", b"RIFF\0\0\0\0AVI "), None);
        assert_eq!(name("a.bin", b"\x01\x02"), Some("a file of pixels without a header"));
        assert_eq!(
            name("a.seq", b"\xed\xfe\0\0N\0o\0r\0p\0i\0x\0 "),
            Some("a StreamPix (Norpix) sequence")
        );
        assert!(is_animated_webp(b"RIFF\x12\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0"));
        assert!(!is_animated_webp(b"RIFF\x12\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0"), "alpha");
        assert!(!is_animated_webp(b"RIFF\x12\0\0\0WEBPVP8 "));
        let png = |frames: u8| {
            let start = b"\x89PNG\r\n\x1a\n\0\0\0\x01tEXt!####\0\0\0\x08acTL\0\0\0";
            [&start[..], &[frames], b"\0\0\0\0"].concat()
        };
        assert!(is_animated_png(&png(2)) && !is_animated_png(&png(1)));
        assert!(
            !is_animated_png(&png(2)[..30])
                && !is_animated_png(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xff")
        );
        for known in ["a.avi", "a.mp4", "a.tif", "a.cine", "a.stk", "a.seq", "czi", "raw", "clip"] {
            assert_eq!(name(known, b""), None, "{known}");
        }
    }
}
