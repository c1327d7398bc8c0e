//! Compares tensors element by element and prints a table of the differences.

use std::fmt::Write as _;

use sam2_model::Tensor;
use serde::{Deserialize, Serialize};

use crate::fixture::{Sampled, to_values};

/// Bins of the difference histogram per factor of ten, from which percentiles are computed.
const BINS_PER_DECADE: usize = 50;
/// Decades covered: differences from 1e-12 to 1e4.
const DECADES: usize = 16;

/// Difference statistics of one output, accumulated over any number of comparisons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Name of the output.
    pub name: String,
    /// Largest difference.
    pub max: f64,
    /// Largest magnitude in the reference.
    pub scale: f64,
    /// Number of values compared.
    pub elements: usize,
    limit: f64,
    relative: bool,
    sum: f64,
    histogram: Vec<usize>,
    dot: f64,
    ours_squared: f64,
    theirs_squared: f64,
}

impl Row {
    fn new(name: &str, limit: f64, relative: bool) -> Self {
        Self {
            name: name.to_owned(),
            max: 0.0,
            scale: 0.0,
            elements: 0,
            limit,
            relative,
            sum: 0.0,
            histogram: vec![0; BINS_PER_DECADE * DECADES],
            dot: 0.0,
            ours_squared: 0.0,
            theirs_squared: 0.0,
        }
    }

    fn add(&mut self, ours: f32, theirs: f32) {
        let (a, b) = (f64::from(ours), f64::from(theirs));
        let difference = (a - b).abs();
        // A NaN must not pass a comparison. (JSON cannot represent infinity, hence the largest
        // number.)
        self.max = if difference.is_nan() { f64::MAX } else { self.max.max(difference) };
        self.scale = self.scale.max(b.abs());
        self.elements += 1;
        self.sum += difference;
        let bin = (difference.max(1e-12).log10() + 12.0) * BINS_PER_DECADE as f64;
        self.histogram[(bin as usize).min(BINS_PER_DECADE * DECADES - 1)] += 1;
        self.dot += a * b;
        self.ours_squared += a * a;
        self.theirs_squared += b * b;
    }

    /// Returns the mean difference.
    pub fn mean(&self) -> f64 {
        self.sum / self.elements.max(1) as f64
    }

    /// Returns the difference below which 99 % of the values lie, to within 5 %.
    pub fn p99(&self) -> f64 {
        let wanted = (self.elements as f64 * 0.99).ceil() as usize;
        let mut seen = 0;
        for (bin, count) in self.histogram.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return if bin == 0 {
                    0.0
                } else {
                    10.0_f64.powf((bin + 1) as f64 / BINS_PER_DECADE as f64 - 12.0).min(self.max)
                };
            }
        }
        self.max
    }

    /// Returns the cosine similarity; 1 if both are zero.
    pub fn cosine(&self) -> f64 {
        let norms = (self.ours_squared * self.theirs_squared).sqrt();
        if norms == 0.0 { 1.0 } else { self.dot / norms }
    }

    /// Returns the value that the limit applies to: the largest difference, absolute or divided by
    /// the largest magnitude in the reference.
    pub fn figure(&self) -> f64 {
        if self.relative { self.max / self.scale.max(1e-30) } else { self.max }
    }

    /// Returns whether the limit is met.
    pub fn passes(&self) -> bool {
        self.figure() <= self.limit
    }

    /// Formats the limit.
    pub fn limit(&self) -> String {
        format!("{:.0e}{}", self.limit, if self.relative { " rel" } else { "" })
    }
}

/// Collects comparisons. If any misses its limit, [`Report::finish`] fails once, with the whole
/// table.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// Limits the largest absolute difference.
    pub fn absolute(&mut self, name: &str, ours: &[f32], theirs: &[f32], limit: f64) {
        self.add(name, ours, theirs, limit, false);
    }

    /// Limits the largest difference relative to the largest magnitude of the reference tensor.
    pub fn relative(&mut self, name: &str, ours: &[f32], theirs: &[f32], limit: f64) {
        self.add(name, ours, theirs, limit, true);
    }

    /// Compares a tensor with a sampled one: the sampled values, and the sums over all elements.
    pub fn sampled<const D: usize>(
        &mut self,
        name: &str,
        ours: Tensor<D>,
        theirs: &Sampled,
        limit: f64,
        relative: bool,
    ) {
        let all = to_values(ours);
        let samples: Vec<f32> = all.iter().copied().step_by(theirs.stride).collect();
        self.add(name, &samples, &theirs.values, limit, relative);
        let sum: f64 = all.iter().map(|&v| f64::from(v)).sum();
        let abs_sum: f64 = all.iter().map(|&v| f64::from(v).abs()).sum();
        // Differences between the samples show up in the sums.
        let off = (sum - theirs.sum).abs().max((abs_sum - theirs.abs_sum).abs());
        let off = (off / theirs.abs_sum.max(1e-30)) as f32;
        self.add(&format!("{name} (sums)"), &[off], &[0.0], limit, false);
    }

    fn add(&mut self, name: &str, ours: &[f32], theirs: &[f32], limit: f64, relative: bool) {
        assert_eq!(ours.len(), theirs.len(), "{name}: sizes differ");
        let position = self.rows.iter().position(|row| row.name == name);
        let position = position.unwrap_or_else(|| {
            self.rows.push(Row::new(name, limit, relative));
            self.rows.len() - 1
        });
        let row = &mut self.rows[position];
        for (&a, &b) in ours.iter().zip(theirs) {
            row.add(a, b);
        }
    }

    /// Adds a line without a limit to the table.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Returns the comparisons.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the notes.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Formats the table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<44} {:>10} {:>10} {:>9} {:>9}\n",
            "output", "max |diff|", "max |ref|", "elements", "limit"
        );
        for row in &self.rows {
            let Row { name, max, scale, elements, .. } = row;
            let limit = row.limit();
            let _ =
                writeln!(text, "{name:<44} {max:>10.2e} {scale:>10.2e} {elements:>9} {limit:>9}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// Prints the table.
    ///
    /// # Panics
    /// If an output missed its limit, or if nothing was compared.
    pub fn finish(self) {
        println!("{}", self.table());
        let missed: Vec<String> = self
            .rows
            .iter()
            .filter(|row| !row.passes())
            .map(|row| format!("{}: {:.3e} > {}", row.name, row.figure(), row.limit()))
            .collect();
        assert!(missed.is_empty(), "missed: {}", missed.join("; "));
        assert!(!self.rows.is_empty(), "nothing was compared");
    }
}
