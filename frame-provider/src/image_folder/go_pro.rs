//! Names of GoPro pictures in bursts and time lapses.

/// Names such as `G0010042.JPG`: a group number of three digits, then a picture number of four. A
/// group holds at most 999 pictures; in the next group, the picture number continues or starts
/// again at 1.
pub(super) struct GoPro {
    /// Positions where groups begin, except for the first group.
    pub(super) starts: Vec<usize>,
}

/// Factor of the group number in a name.
const GROUP: i128 = 10_000;

impl GoPro {
    /// The last picture number of a full group, or of a full counter.
    pub(super) const LAST: [i128; 2] = [999, 9999];

    /// Checks whether all names are GoPro names with these rising numbers.
    pub(super) fn find(stems: &[String], values: &[i128]) -> Option<Self> {
        let is_name = |stem: &String| {
            let digits = stem.strip_prefix(['G', 'g']);
            digits.is_some_and(|digits| {
                digits.len() == 7 && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        if !stems.iter().all(is_name) {
            return None;
        }
        let is_start = |at: &usize| values[*at] / GROUP != values[at - 1] / GROUP;
        let starts: Vec<usize> = (1..values.len()).filter(is_start).collect();
        (!starts.is_empty()).then_some(Self { starts })
    }

    /// Returns each group's number, how many pictures it has, and the number of its last picture.
    pub(super) fn groups(&self, values: &[i128]) -> Vec<(i128, usize, i128)> {
        let ends = self.starts.iter().copied().chain([values.len()]);
        let firsts = [0].into_iter().chain(self.starts.iter().copied());
        let group = |(first, end): (usize, usize)| {
            let last = values[end - 1];
            (last / GROUP, end - first, last % GROUP)
        };
        firsts.zip(ends).map(group).collect()
    }
}
