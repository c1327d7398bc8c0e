//! Tests of files from programs that are not supported.

use std::path::Path;

use super::{KeypointSelection, KeypointTrack};

fn refusal(bytes: &[u8]) -> String {
    let selection = KeypointSelection::default();
    let track = KeypointTrack::parse(Path::new("t"), bytes.to_vec(), &selection);
    track.unwrap_err().to_string()
}

#[test]
fn other_programs_are_refused_by_name() {
    let utf16 = |text: &str| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let ethovision = utf16("\"Number of header lines:\";\"38\"\n\"Experiment\";\"x\"\n");
    for (bytes, words) in [
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN64".to_vec(), ["MATLAB", "JAABA"]),
        (b"\x93NUMPY\x01\x00".to_vec(), ["NumPy", "trajectories.csv"]),
        (b"PK\x03\x04....frame.npy".to_vec(), [".npz", "TRex"]),
        (b"PK\x03\x04....annotations.xml".to_vec(), ["ZIP", "annotations.xml"]),
        (b"\x80\x04\x95\x00".to_vec(), ["pickle", ".h5"]),
        (b"PAR1".to_vec(), ["Parquet", "frame,object,x,y"]),
        (ethovision, ["EthoVision", "centimetres"]),
        (b"Time,Centre position X,Centre position Y\n0,1,2\n".to_vec(), ["ANY-maze", "frames"]),
        (b"frame,X (cm),Y (cm),X#wcentroid (cm)\n0,1,2,3\n".to_vec(), ["TRex", "cm_per_pixel"]),
        (b"nose_x,nose_y,nose_z,nose_error,fnum\n1,2,3,4,0\n".to_vec(), ["Anipose", "2D"]),
        (
            b"LABEL,ID,TRACK_ID,POSITION_X,POSITION_Y,FRAME\nL,1,1,2,3,0\n".to_vec(),
            ["TrackMate", "FRAME"],
        ),
        (b"Item1.X,Item1.Y\n1,2\n".to_vec(), ["Bonsai", "frame"]),
        (b"1,1,10,20,30,40,1,-1,-1,-1\n".to_vec(), ["MOT", "from 1"]),
        (b"1,-1,1359.1,413.27,120.26,362.77,2.3092,-1,-1,-1\n".to_vec(), ["MOT", "from 1"]),
        (b"1,-1,1359.1,413.27,120.26,362.77,2.3092\n".to_vec(), ["MOT", "from 1"]),
        (b"1,2,912,484,97,109,0,7,0.85\n".to_vec(), ["MOT", "from 1"]),
        (b"1;2;912;484;97;109;1;1;1\n".to_vec(), ["MOT", "from 1"]),
        (
            b"frame,id,bb_left,bb_top,bb_width,bb_height,conf,x,y,z\n1,1,10,20,30,40,1,-1,-1,-1\n"
                .to_vec(),
            ["MOT", "from 1"],
        ),
        (b"frame,X,Y,X#wcentroid,Y#wcentroid\n0,1,2,3,4\n".to_vec(), ["TRex", "cm_per_pixel"]),
        (b",Nose_1_x,Nose_1_y,Nose_1_p\n0,1,2,0.9\n".to_vec(), ["SimBA", "imported"]),
        (br#"{"skeletons": [], "nodes": [], "labels": []}"#.to_vec(), ["SLEAP's old JSON", ".slp"]),
        (br#"{"_via_settings": {}, "_via_img_metadata": {}}"#.to_vec(), ["VIA", "COCO"]),
        (
            br#"[{"image_id": 1, "keypoints": [1, 2, 2], "score": 1}]"#.to_vec(),
            ["detections", "images"],
        ),
        (br#"{"version": 1, "prompts": []}"#.to_vec(), ["--prompts", "instead"]),
        (b"<TrackMate version=\"7\"></TrackMate>".to_vec(), ["TrackMate", "frame,object,x,y"]),
        (b"<annotation><object/></annotation>".to_vec(), ["Pascal VOC", "CVAT"]),
        (b"<html></html>".to_vec(), ["'html'", "CVAT"]),
    ] {
        let message = refusal(&bytes);
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}
