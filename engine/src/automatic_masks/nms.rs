//! Non-maximum suppression: keeps only the best of several overlapping boxes.

use std::cmp::Ordering;

/// Returns the indices of the boxes that stay, best first: from the highest score down, each box
/// that stays removes all later ones whose IoU with it is above `iou_threshold`. Equal scores keep
/// their order (`torchvision.ops.nms` on a CPU; `batched_nms` for one category).
///
/// Boxes are `[x0, y0, x1, y1]`. Two boxes without area have no IoU and do not affect each other.
pub(super) fn non_maximum_suppression(
    boxes: &[[f32; 4]],
    scores: &[f32],
    iou_threshold: f64,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len().min(scores.len())).collect();
    // torch sorts NaN before every number when descending.
    order.sort_by(|&a, &b| {
        let (a, b) = (scores[a], scores[b]);
        b.partial_cmp(&a).unwrap_or_else(|| match (a.is_nan(), b.is_nan()) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => Ordering::Equal,
        })
    });
    let mut kept: Vec<usize> = Vec::new();
    let mut removed = vec![false; boxes.len()];
    for (position, &index) in order.iter().enumerate() {
        if removed[index] {
            continue;
        }
        kept.push(index);
        for &other in &order[position + 1..] {
            removed[other] |= f64::from(iou(boxes[index], boxes[other])) > iou_threshold;
        }
    }
    kept
}

/// Computes the IoU in f32 like torchvision; NaN for two boxes without area.
fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[x0, y0, x1, y1]: [f32; 4]| (x1 - x0) * (y1 - y0);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let intersection = width * height;
    intersection / (area(a) + area(b) - intersection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes the best remaining box, again and again.
    fn naive(boxes: &[[f32; 4]], scores: &[f32], threshold: f64) -> Vec<usize> {
        let mut left: Vec<usize> = (0..boxes.len()).collect();
        let mut kept = Vec::new();
        while !left.is_empty() {
            let mut best = left[0];
            for &index in &left {
                if scores[index] > scores[best] {
                    best = index;
                }
            }
            kept.push(best);
            left.retain(|&index| {
                // Two empty boxes have no IoU.
                let iou = f64::from(pixel_iou(boxes[index], boxes[best]));
                index != best && (iou.is_nan() || iou <= threshold)
            });
        }
        kept
    }

    /// Computes the IoU by counting unit squares; the test's boxes have integer coordinates.
    fn pixel_iou(a: [f32; 4], b: [f32; 4]) -> f32 {
        let inside =
            |[x0, y0, x1, y1]: [f32; 4], x: f32, y: f32| x0 <= x && x < x1 && y0 <= y && y < y1;
        let (mut both, mut any) = (0.0, 0.0);
        for (x, y) in (0..16).flat_map(|x| (0..16).map(move |y| (x as f32, y as f32))) {
            both += f32::from(inside(a, x, y) && inside(b, x, y));
            any += f32::from(inside(a, x, y) || inside(b, x, y));
        }
        both / any
    }

    fn boxes() -> impl Strategy<Value = Vec<([f32; 4], f32)>> {
        let side = || (0_u8..10, 0_u8..7).prop_map(|(start, length)| (start, start + length));
        let one = (side(), side(), 0_u8..6).prop_map(|((x0, x1), (y0, y1), score)| {
            ([x0, y0, x1, y1].map(f32::from), f32::from(score) / 4.0)
        });
        prop::collection::vec(one, 0..24)
    }

    proptest! {
        #[test]
        fn it_equals_the_naive_way(boxes in boxes(), threshold in 0.0_f64..1.0) {
            let (boxes, scores): (Vec<_>, Vec<_>) = boxes.into_iter().unzip();
            let kept = non_maximum_suppression(&boxes, &scores, threshold);
            prop_assert_eq!(kept, naive(&boxes, &scores, threshold));
        }
    }

    #[test]
    fn the_threshold_itself_is_allowed_and_equals_keep_their_order() {
        let boxes = [[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0], [9.0, 9.0, 9.0, 9.0]];
        assert_eq!(non_maximum_suppression(&boxes, &[1.0, 1.0, 1.0], 0.5), [0, 1, 2]);
        assert_eq!(non_maximum_suppression(&boxes, &[1.0, 1.0, 1.0], 0.49), [0, 2]);
        assert_eq!(non_maximum_suppression(&boxes, &[1.0, 2.0, f32::NAN], 0.49), [2, 1]);
        assert_eq!(non_maximum_suppression(&[], &[], 0.5), [] as [usize; 0]);
        // Boxes without area stay, even in the same place.
        let points = [[3.0; 4], [3.0; 4]];
        assert_eq!(non_maximum_suppression(&points, &[0.1, 0.2], 0.0), [1, 0]);
    }
}
