//! A head's keys and values in the layout that tiles of products read.

#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::heads::HeadTokens;
use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// The sizes of one attention.
pub(super) struct Sizes {
    /// Number of keys.
    pub(super) m: usize,
    /// Channels of queries and keys.
    pub(super) d: usize,
    /// Channels of values.
    pub(super) v: usize,
    /// Keys in a panel: two vectors.
    pub(super) panel: usize,
    pub(super) keys_padded: usize,
    pub(super) values_padded: usize,
    /// The factor of queries.
    pub(super) scale: f32,
}

/// One head's keys and values in the layout that the tiles read.
#[derive(Default)]
pub(super) struct Packed {
    /// `[panels, d, panel]`, zero beyond the last key.
    pub(super) keys: Vec<f32>,
    /// `[m, values_padded]`, zero beyond `v`.
    pub(super) values: Vec<f32>,
}

impl Packed {
    fn resize(&mut self, sizes: &Sizes) {
        self.keys.resize(sizes.keys_padded * sizes.d, 0.0);
        self.values.resize(sizes.m * sizes.values_padded, 0.0);
    }

    pub(super) fn fill(
        &mut self,
        tier: CpuTier,
        s: &Sizes,
        keys: HeadTokens<'_>,
        values: HeadTokens<'_>,
    ) {
        self.resize(s);
        for (at, panel) in self.keys.chunks_exact_mut(s.panel * s.d).enumerate() {
            fill_panel(tier, panel, s, keys, at * s.panel);
        }
        for (token, row) in self.values.chunks_exact_mut(s.values_padded).enumerate() {
            fill_values(row, s, values, token);
        }
    }

    pub(super) fn fill_in_parallel(
        &mut self,
        tier: CpuTier,
        s: &Sizes,
        keys: HeadTokens<'_>,
        values: HeadTokens<'_>,
    ) {
        self.resize(s);
        let panels = self.keys.par_chunks_exact_mut(s.panel * s.d).with_min_len(8).enumerate();
        panels.for_each(|(at, panel)| fill_panel(tier, panel, s, keys, at * s.panel));
        let rows =
            self.values.par_chunks_exact_mut(s.values_padded.max(1)).with_min_len(1024).enumerate();
        rows.for_each(|(token, row)| fill_values(row, s, values, token));
    }
}

per_tier! {
    /// Transposes a panel's keys, with zeros after the last key.
    fn fill_panel = fill_panel_on(panel: &mut [f32], s: &Sizes, keys: HeadTokens<'_>, first: usize)
}

/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn fill_panel_on<S: Simd, const ROWS: usize>(
    panel: &mut [f32],
    s: &Sizes,
    keys: HeadTokens<'_>,
    first: usize,
) {
    const SIDE: usize = 8;
    let count = s.panel.min(s.m - first);
    let (whole, whole_channels) = (count / SIDE * SIDE, s.d / SIDE * SIDE);
    assert!(panel.len() == s.d * s.panel);
    for at in (0..whole).step_by(SIDE) {
        let tokens: [&[f32]; SIDE] = std::array::from_fn(|token| keys.at(first + at + token));
        for channel in (0..whole_channels).step_by(SIDE) {
            // SAFETY: each token has `s.d` channels, and the panel has a row of `s.panel` values
            // for each of them.
            unsafe {
                let rows = tokens.map(|token| token.as_ptr().add(channel));
                S::transpose_8x8(rows, panel.as_mut_ptr().add(channel * s.panel + at), s.panel);
            }
        }
    }
    for at in 0..count {
        let from = if at < whole { whole_channels } else { 0 };
        let rows = panel.chunks_exact_mut(s.panel).skip(from);
        for (row, value) in rows.zip(&keys.at(first + at)[from..]) {
            row[at] = *value;
        }
    }
    if count < s.panel {
        panel.chunks_exact_mut(s.panel).for_each(|row| row[count..].fill(0.0));
    }
}

fn fill_values(row: &mut [f32], s: &Sizes, values: HeadTokens<'_>, token: usize) {
    row[..s.v].copy_from_slice(values.at(token));
    row[s.v..].fill(0.0);
}
