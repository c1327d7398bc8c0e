//! JSON files that are written piece by piece.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::WriteError;
use crate::output_file::{CompleteOutput, OutputFile};

/// A JSON file in progress: the caller writes the syntax as text, and serde writes the values.
pub(crate) struct JsonFile {
    output: OutputFile,
    text: BufWriter<File>,
}

impl JsonFile {
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let text = BufWriter::new(output.try_clone()?);
        Ok(Self { output, text })
    }

    pub(crate) fn path(&self) -> &Path {
        self.output.path()
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), WriteError> {
        self.text.write_all(text.as_bytes()).map_err(|source| self.output.io_error(source))
    }

    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), WriteError> {
        serde_json::to_writer(&mut self.text, value)
            .map_err(|error| self.output.io_error(io::Error::from(error)))
    }

    /// Returns a handle to what has been written so far, positioned at the start.
    pub(crate) fn written(&mut self) -> Result<File, WriteError> {
        self.text.flush().map_err(|source| self.output.io_error(source))?;
        let mut file = self.output.try_clone()?;
        io::Seek::rewind(&mut file).map_err(|source| self.output.io_error(source))?;
        Ok(file)
    }

    pub(crate) fn complete(mut self) -> Result<CompleteOutput, WriteError> {
        self.text.flush().map_err(|source| self.output.io_error(source))?;
        drop(self.text);
        self.output.complete()
    }
}
