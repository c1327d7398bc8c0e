//! Every frame of many kinds of video equals that of a plain decode by the `ffmpeg` program, in any
//! order of access.

mod common;

use common::{Workshop, assert_exact};
use sam2_frame_provider::FrameSource;

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 3 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";

/// Defines a test that makes one film of `size` for `seconds` at 30 frames per second, and compares
/// it.
macro_rules! exact {
    ($($name:ident: $size:literal, $seconds:literal, $arguments:expr, $file:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let workshop = Workshop::new();
                let path = workshop.film($size, 30, $seconds, &$arguments, $file);
                let source = assert_exact(&path);
                assert_eq!(source.info().frame_count, ($seconds * 30.0_f64) as usize);
                assert_eq!(source.info().timing.frames_per_second.map(f64::round), Some(30.0));
                assert_eq!(*source.info().warnings, [""; 0]);
            }
        )*
    };
}

exact! {
    h264_long_group: "320x180", 8.0, format!("{X264} -g 250"), "long.mp4";
    h264_open_groups: "320x180", 4.0, format!("{X264} -g 30 -x264-params open-gop=1:scenecut=0"), "open.mp4";
    h264_intra_refresh: "320x180", 3.0,
        "-c:v libx264 -preset ultrafast -x264-params intra-refresh=1:keyint=40:threads=1 -pix_fmt yuv420p", "refresh.mp4";
    h264_matroska: "320x180", 3.0, format!("{X264} -g 30"), "h264.mkv";
    h264_fragmented: "320x180", 3.0, format!("{X264} -g 30 -movflags frag_keyframe+empty_moov"), "fragmented.mp4";
    h264_late_start: "320x180", 3.0, format!("{X264} -g 30 -output_ts_offset 5"), "late.mp4";
    h264_full_range_bt709: "320x180", 1.0,
        format!("{X264} -g 30 -vf scale=out_range=pc:out_color_matrix=bt709 -color_range pc -colorspace bt709"), "full.mp4";
    h264_bt709: "320x180", 1.0, format!("{X264} -vf scale=out_color_matrix=bt709 -colorspace bt709"), "bt709.mp4";
    h264_gray: "320x180", 2.0, "-c:v libx264 -preset ultrafast -threads 1 -g 30 -pix_fmt gray", "gray.mp4";
    h264_444_10_bit: "320x180", 2.0,
        "-c:v libx264 -preset ultrafast -threads 1 -g 30 -pix_fmt yuv444p10le", "10bit.mp4";
    h264_odd_size: "161x97", 2.0, "-c:v libx264 -preset ultrafast -threads 1 -g 30 -pix_fmt yuv444p", "odd.mp4";
    ffv1_odd_size_420: "161x97", 2.0, "-c:v ffv1 -pix_fmt yuv420p", "odd420.mkv";
    h264_interlaced: "320x180", 2.0,
        format!("-vf setfield=tff {X264} -g 30 -flags +ilme+ildct -x264-params tff=1"), "interlaced.mp4";
    xvid_avi_long_group: "320x180", 6.0, "-c:v mpeg4 -vtag xvid -q:v 3 -g 250 -sc_threshold 1000000000", "xvid.avi";
    mjpeg_avi: "320x180", 2.0, "-c:v mjpeg -q:v 3", "mjpeg.avi";
    raw_bgr24_avi: "162x120", 2.0, "-c:v rawvideo -pix_fmt bgr24", "bgr24.avi";
    raw_i420_avi: "160x120", 2.0, "-c:v rawvideo -pix_fmt yuv420p", "i420.avi";
    raw_gray_avi: "160x120", 2.0, "-c:v rawvideo -pix_fmt gray", "gray.avi";
    ffv1_gray: "160x120", 2.0, "-c:v ffv1 -pix_fmt gray", "gray.mkv";
    ffv1_gray_16_bit: "160x120", 2.0, "-c:v ffv1 -pix_fmt gray16le", "gray16.mkv";
    ffv1_inter: "160x120", 2.0, "-c:v ffv1 -level 1 -context 1 -g 15", "ffv1.mkv";
    png_mov_with_alpha: "160x120", 1.0, "-c:v png -pix_fmt rgba", "png.mov";
    hevc_open_groups: "320x180", 3.0,
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:bframes=3:open-gop=1:pools=1 \
         -pix_fmt yuv420p -tag:v hvc1", "hevc.mp4";
    vp9_hidden_frames: "320x180", 3.0,
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -g 30 -auto-alt-ref 1 -lag-in-frames 16", "vp9.webm";
    av1: "320x180", 2.0, "-c:v libsvtav1 -preset 12 -g 30", "av1.mp4";
    h264_rgb: "320x180", 2.0, "-c:v libx264rgb -preset ultrafast -threads 1 -g 30 -pix_fmt bgr24", "rgb.mp4";
    h264_422: "320x180", 2.0, "-c:v libx264 -preset ultrafast -threads 1 -g 30 -pix_fmt yuv422p", "422.mp4";
    h264_420_10_bit: "320x180", 2.0,
        "-c:v libx264 -preset ultrafast -threads 1 -g 30 -pix_fmt yuv420p10le", "420p10.mkv";
    hevc_422_12_bit: "320x180", 2.0,
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:pools=1 -pix_fmt yuv422p12le", "12bit.mkv";
    prores_422_10_bit: "320x180", 1.0, "-c:v prores_ks -pix_fmt yuv422p10le", "prores.mov";
    ffv1_rgb_16_bit: "161x97", 1.0, "-c:v ffv1 -pix_fmt gbrp16le", "rgb16.mkv";
    ffv1_420_16_bit: "161x97", 1.0, "-c:v ffv1 -pix_fmt yuv420p16le", "420p16.mkv";
    ffv1_422_odd: "161x97", 1.0, "-c:v ffv1 -pix_fmt yuv422p", "422.avi";
    ffv1_alpha: "161x97", 1.0, "-c:v ffv1 -pix_fmt yuva420p", "alpha.mkv";
    raw_uyvy_avi: "162x120", 1.0, "-c:v rawvideo -pix_fmt uyvy422", "uyvy.avi";
    raw_gray16_nut: "162x120", 1.0, "-c:v rawvideo -pix_fmt gray16le", "gray16.nut";
    raw_rgb48_nut: "162x120", 1.0, "-c:v rawvideo -pix_fmt rgb48le", "rgb48.nut";
    huffyuv_avi: "320x180", 1.0, "-c:v huffyuv -pix_fmt yuv422p", "huffyuv.avi";
    utvideo_avi: "320x180", 1.0, "-c:v utvideo -pix_fmt gbrp", "utvideo.avi";
    mjpeg_444_odd: "161x97", 1.0, "-c:v mjpeg -q:v 3 -pix_fmt yuvj444p", "444.avi";
    vp8: "320x180", 2.0, "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 30 -auto-alt-ref 1 -lag-in-frames 16", "vp8.webm";
    flash: "320x180", 2.0, "-c:v flv -g 30", "film.flv";
    windows_media: "320x180", 2.0, "-c:v wmv2 -g 30", "film.asf";
    widths_of_no_vector: "62x34", 1.0, format!("{X264} -g 10"), "62.mp4";
    one_pixel_more_than_a_vector: "65x33", 1.0, "-c:v ffv1 -pix_fmt yuv420p", "65.mkv";
    h264_900_by_896: "900x896", 0.5, format!("{X264} -g 5"), "900.mp4";
    mjpeg_hd: "1278x718", 1.0, "-c:v mjpeg -q:v 3", "hd.avi";
    mjpeg_444_hd: "900x896", 1.0, "-c:v mjpeg -q:v 3 -pix_fmt yuvj444p", "444hd.avi";
    h264_hd: "1280x720", 1.0, format!("{X264} -g 25"), "hd.mp4";
}

/// AVI has no time stamps for B-frames.
#[test]
fn mpeg4_avi_with_b_frames() {
    let workshop = Workshop::new();
    let path = workshop.film(
        "161x121",
        30,
        4.0,
        "-c:v mpeg4 -q:v 3 -bf 2 -g 30 -pix_fmt yuv420p",
        "mpeg4.avi",
    );
    assert_eq!(assert_exact(&path).info().frame_count, 120);
}

#[test]
fn variable_frame_rate() {
    let workshop = Workshop::new();
    let select = "-vf select='not(eq(mod(n,7),3))*not(between(n,50,70))' -vsync vfr";
    let path = workshop.film("320x180", 30, 4.0, &format!("{select} {X264} -g 30"), "vfr.mp4");
    assert_exact(&path);
}

#[test]
fn variable_frame_rate_in_matroska() {
    let workshop = Workshop::new();
    let select = "-vf select='not(eq(mod(n,5),3))*not(between(n,20,40))' -vsync vfr";
    let path = workshop.film("320x180", 30, 3.0, &format!("{select} {X264} -g 30"), "vfr.mkv");
    assert_exact(&path);
}

#[test]
fn interlaced_fields_in_pairs() {
    let workshop = Workshop::new();
    let arguments = "-vf tinterlace=interleave_top -c:v libx264 -preset ultrafast -threads 1 -flags +ilme+ildct \
                     -pix_fmt yuv420p";
    let path = workshop.film("320x180", 50, 2.0, arguments, "fields.mp4");
    assert_exact(&path);
}

#[test]
fn transport_stream() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 4.0, &format!("{X264} -g 30"), "h264.mkv");
    workshop.ffmpeg("-i h264.mkv -c copy h264.ts");
    assert_exact(&workshop.path("h264.ts"));
}

#[test]
fn raw_stream_without_time_stamps() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 4.0, &format!("{X264} -g 30"), "h264.mkv");
    workshop.ffmpeg("-i h264.mkv -c copy -bsf:v h264_mp4toannexb -f h264 raw.h264");
    let source = assert_exact(&workshop.path("raw.h264"));
    assert_eq!(source.info().frame_count, 120);
    assert!(source.info().warnings[0].contains("decoded once"), "{:?}", source.info().warnings);
    assert_eq!(source.claimed_frame_count(), None);
}

#[test]
fn intra_refresh_in_a_transport_stream() {
    let workshop = Workshop::new();
    let refresh = "-c:v libx264 -preset ultrafast -x264-params intra-refresh=1:keyint=40:threads=1 -pix_fmt yuv420p";
    let path = workshop.film("320x180", 30, 4.0, refresh, "refresh.ts");
    assert_exact(&path);
}

#[test]
fn edit_list_that_begins_between_key_frames() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 8.0, &format!("{X264} -g 100"), "whole.mp4");
    workshop.ffmpeg("-ss 2.33 -i whole.mp4 -c copy -t 5 cut.mp4");
    let source = assert_exact(&workshop.path("cut.mp4"));
    assert!(source.claimed_frame_count() > Some(source.info().frame_count));
    assert_eq!(*source.info().warnings, [""; 0]);
}

#[test]
fn edit_list_with_open_groups() {
    let workshop = Workshop::new();
    workshop.film(
        "320x180",
        30,
        5.0,
        &format!("{X264} -g 30 -x264-params open-gop=1"),
        "whole.mp4",
    );
    workshop.ffmpeg("-ss 1.5 -i whole.mp4 -c copy -t 3 cut.mp4");
    assert_exact(&workshop.path("cut.mp4"));
}

#[test]
fn mpeg2_transport_stream() {
    let workshop = Workshop::new();
    let path = workshop.film("320x180", 25, 4.0, "-c:v mpeg2video -b:v 3M -g 15 -bf 2", "mpeg2.ts");
    assert_exact(&path);
}

#[test]
fn mpeg2_interlaced_program_stream() {
    let workshop = Workshop::new();
    let arguments = "-vf setfield=tff -c:v mpeg2video -flags +ilme+ildct -b:v 3M -g 15 -bf 2";
    let path = workshop.film("320x180", 25, 3.0, arguments, "mpeg2.mpg");
    assert_exact(&path);
}

#[test]
fn gif() {
    let workshop = Workshop::new();
    let path = workshop.film("160x120", 10, 3.0, "", "animation.gif");
    assert_eq!(assert_exact(&path).info().frame_count, 30);
}

#[test]
fn sound_beside_the_video() {
    let workshop = Workshop::new();
    workshop.ffmpeg(&format!(
        "-f lavfi -i sine=frequency=440:duration=5 -f lavfi -i testsrc2=size=320x180:rate=30:duration=4 {X264} -g 30 \
         -c:a aac sound.mp4"
    ));
    let source = assert_exact(&workshop.path("sound.mp4"));
    assert_eq!((source.info().frame_count, source.info().warnings.to_vec()), (120, vec![]));
}

#[test]
fn rotation() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 1.0, &format!("{X264} -g 10"), "upright.mp4");
    for (degrees, size) in [(0, "320x180"), (90, "180x320"), (180, "320x180"), (270, "180x320")] {
        let name = format!("turned{degrees}.mp4");
        workshop.ffmpeg(&format!("-i upright.mp4 -c copy -metadata:s:v rotate={degrees} {name}"));
        let source = assert_exact(&workshop.path(&name));
        assert_eq!(source.info().size.to_string(), size);
    }
}
