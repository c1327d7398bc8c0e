//! Comparing tensors element by element, with a table of what was found.

use sam2_model::Tensor;

use crate::fixture::{Sampled, to_values};

/// Difference statistics of one output, gathered over any number of comparisons.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    max: f64,
    scale: f64,
    elements: usize,
    limit: f64,
    relative: bool,
}

/// Gathers comparisons and fails once, with the whole table, if any missed its limit.
#[derive(Debug, Default)]
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

    /// Compares a tensor with a sampled one: the samples, and the mean of all elements.
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
        // Elements between the samples show in the sums.
        let off = (sum - theirs.sum).abs().max((abs_sum - theirs.abs_sum).abs());
        self.push(
            &format!("{name} (sums)"),
            off / theirs.abs_sum.max(1e-30),
            1.0,
            all.len(),
            limit,
            false,
        );
    }

    fn add(&mut self, name: &str, ours: &[f32], theirs: &[f32], limit: f64, relative: bool) {
        assert_eq!(ours.len(), theirs.len(), "{name}: sizes differ");
        let mut max = 0.0_f64;
        let mut scale = 0.0_f64;
        for (&a, &b) in ours.iter().zip(theirs) {
            let difference = (f64::from(a) - f64::from(b)).abs();
            // NaN must not slip through a comparison.
            max = if difference.is_nan() { f64::INFINITY } else { max.max(difference) };
            scale = scale.max(f64::from(b).abs());
        }
        self.push(name, max, scale, ours.len(), limit, relative);
    }

    fn push(
        &mut self,
        name: &str,
        max: f64,
        scale: f64,
        elements: usize,
        limit: f64,
        relative: bool,
    ) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => {
                row.max = row.max.max(max);
                row.scale = row.scale.max(scale);
                row.elements += elements;
            }
            None => {
                self.rows.push(Row { name: name.into(), max, scale, elements, limit, relative })
            }
        }
    }

    /// Adds a line to the table without a limit.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Prints the table.
    ///
    /// # Panics
    /// If an output missed its limit.
    pub fn finish(self) {
        let mut missed = Vec::new();
        println!(
            "{:<44} {:>10} {:>10} {:>9} {:>9}",
            "output", "max |diff|", "max |ref|", "elements", "limit"
        );
        for row in &self.rows {
            let value = if row.relative { row.max / row.scale.max(1e-30) } else { row.max };
            let limit = format!("{:.0e}{}", row.limit, if row.relative { " rel" } else { "" });
            println!(
                "{:<44} {:>10.2e} {:>10.2e} {:>9} {:>9}",
                row.name, row.max, row.scale, row.elements, limit
            );
            if value.is_nan() || value > row.limit {
                missed.push(format!("{}: {value:.3e} > {:.0e}", row.name, row.limit));
            }
        }
        for note in &self.notes {
            println!("{note}");
        }
        assert!(missed.is_empty(), "missed: {}", missed.join("; "));
        assert!(!self.rows.is_empty(), "nothing was compared");
    }
}
