//! Tests of the index.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_packets_make_an_index(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        check_index(&bytes);
    }
}

/// Makes one packet for each (pts, key), in the order of the file.
fn packets(list: &[(i64, bool)]) -> Vec<PacketInfo> {
    let packet = |(number, &(pts, key)): (i64, &(i64, bool))| PacketInfo {
        pts: Some(pts),
        dts: Some(number),
        position: number * 10,
        size: 10,
        key,
        discard: false,
        corrupt: false,
    };
    (0..).zip(list).map(packet).collect()
}

fn segments(index: &Index) -> Vec<(Ordinal, usize)> {
    index.segments.iter().map(|segment| (segment.key, segment.first)).collect()
}

#[test]
fn frames_are_sorted_by_time() {
    let index = Index::from_time_stamps(packets(&[(0, true), (3, false), (1, false), (2, false)]));
    assert_eq!(index.shown, [0, 2, 3, 1]);
    assert_eq!(index.frame_of(1), Some(3));
    assert_eq!(segments(&index), [(0, 0)]);
    assert!(doubt(&index.packets, 0).is_none());
}

#[test]
fn stamps_of_decoding_are_times_at_a_steady_rate_only() {
    let index = |stamps: &[i64], shown: &[Ordinal]| {
        let mut list = packets(&vec![(0, true); stamps.len()]);
        for (packet, stamp) in list.iter_mut().zip(stamps) {
            (packet.pts, packet.dts) = (None, Some(*stamp));
        }
        Index::from_decode(list, shown.iter().copied().map(Some).collect(), BTreeSet::new())
    };
    let steady = index(&[0, 33, 67, 100], &[0, 2, 1, 3]);
    assert_eq!(steady.times(), Some(vec![0, 33, 67, 100]));
    let in_order = index(&[0, 33, 167, 200], &[0, 1, 2, 3]);
    assert_eq!(in_order.times(), Some(vec![0, 33, 167, 200]));
    let variable = index(&[0, 1, 3, 4], &[0, 2, 1, 3]);
    assert_eq!(
        (variable.times(), variable.times_of_decoding_only()),
        (None, Some(vec![0, 1, 3, 4]))
    );
    assert_eq!(steady.times_of_decoding_only(), None);
}

#[test]
fn leading_frames_of_an_open_group_belong_to_the_key_before() {
    // I0 P3 B1 B2 | I6 b4 b5 P7: b4 and b5 are coded after I6 but shown before it.
    let list = [
        (0, true),
        (3, false),
        (1, false),
        (2, false),
        (6, true),
        (4, false),
        (5, false),
        (7, false),
    ];
    let mut index = Index::from_time_stamps(packets(&list));
    assert_eq!(segments(&index), [(0, 0), (4, 6)]);
    assert_eq!(index.segment_of(5), Segment { key: 0, first: 0 });
    assert_eq!(index.segment_of(6), Segment { key: 4, first: 6 });
    assert!(index.refuse(4));
    assert_eq!(segments(&index), [(0, 0)]);
    assert!(!index.refuse(4));
}

#[test]
fn a_key_with_frames_coded_before_it_is_no_start() {
    // The frame shown last is coded before the second key.
    let index = Index::from_time_stamps(packets(&[(0, true), (9, false), (5, true), (6, false)]));
    assert_eq!(segments(&index), [(0, 0)]);
}

#[test]
fn hidden_keys_serve_the_frames_after_them() {
    let mut list = packets(&[(0, true), (1, false), (2, false), (3, true), (4, false)]);
    list[0].discard = true;
    list[1].discard = true;
    list[3].discard = true;
    let index = Index::from_time_stamps(list);
    assert_eq!((index.frame_count(), segments(&index)), (2, vec![(0, 0), (3, 1)]));
}

#[test]
fn decoded_indexes_count_if_frames_have_no_names() {
    let list = packets(&[(0, true), (1, true), (2, true)]);
    let named = Index::from_decode(list.clone(), vec![Some(0), Some(2)], BTreeSet::from([1]));
    assert_eq!(
        (named.frame_count(), named.is_counted(), segments(&named)),
        (2, false, vec![(0, 0), (2, 1)])
    );
    for shown in [vec![Some(0), None], vec![Some(0), Some(0)]] {
        let counted = Index::from_decode(list.clone(), shown, BTreeSet::new());
        assert_eq!(
            (counted.frame_count(), counted.is_counted(), segments(&counted)),
            (2, true, vec![(0, 0)])
        );
    }
    let empty = Index::from_time_stamps(Vec::new());
    assert_eq!((empty.frame_count(), empty.segment_of(0)), (0, Segment { key: 0, first: 0 }));
}

#[test]
fn windows_stay_in_a_segment_or_cover_whole_short_ones() {
    let list: Vec<(i64, bool)> = (0..100).map(|n| (n, n % 10 == 0)).collect();
    let index = Index::from_time_stamps(packets(&list));
    assert_eq!(index.window_start(57, 5, 32), 53);
    assert_eq!(index.window_start(57, 8, 32), 50);
    assert_eq!(index.window_start(57, 20, 32), 40);
    assert_eq!(index.window_start(57, 99, 32), 30);
    assert_eq!(index.window_start(57, 99, 1), 50);
    assert_eq!(index.window_start(3, 99, 32), 0);
}

#[test]
fn doubts_are_named() {
    let mut list = packets(&[(0, false), (1, true), (1, true)]);
    list[1].corrupt = true;
    list.push(PacketInfo { pts: None, size: 0, ..list[0] });
    assert_eq!(
        doubt(&list, 2).unwrap(),
        "1 packets without a time stamp, 1 doubled time stamps, 1 packets marked as damaged, 1 empty packets, \
         2 read errors, 1 start without a key frame"
    );
}
