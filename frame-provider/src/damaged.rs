//! The frames of a source that were found damaged.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Indices of damaged frames, and the list of them that is handed out. Damage is rare and is asked
/// about for every frame, so the list is made anew only after there was more of it.
#[derive(Debug, Default)]
pub(crate) struct DamagedFrames {
    indices: BTreeSet<usize>,
    list: Option<Arc<[usize]>>,
}

impl DamagedFrames {
    /// Adds a frame. Returns false if it was known.
    pub(crate) fn insert(&mut self, index: usize) -> bool {
        let is_new = self.indices.insert(index);
        if is_new {
            self.list = None;
        }
        is_new
    }

    /// Forgets all frames.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the number of frames.
    #[cfg(feature = "video")]
    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    /// Returns the indices, ascending.
    pub(crate) fn list(&mut self) -> Arc<[usize]> {
        Arc::clone(self.list.get_or_insert_with(|| self.indices.iter().copied().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_made_anew_only_for_new_frames() {
        let mut damaged = DamagedFrames::default();
        assert!(damaged.insert(7) && damaged.insert(3));
        let list = damaged.list();
        assert_eq!(*list, [3, 7]);
        assert!(!damaged.insert(7) && Arc::ptr_eq(&list, &damaged.list()));
        assert!(damaged.insert(5));
        assert_eq!(*damaged.list(), [3, 5, 7]);
        damaged.clear();
        assert!(damaged.list().is_empty());
    }
}
