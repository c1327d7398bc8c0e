//! Programs and formats that a track can come from.

/// The program and format of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackKind {
    /// DeepLabCut's CSV.
    DlcCsv,
    /// DeepLabCut's pandas frame in HDF5.
    DlcHdf5,
    /// SLEAP's analysis table, CSV.
    SleapCsv,
    /// SLEAP's analysis file, HDF5.
    SleapHdf5,
    /// SLEAP's own file, `.slp` or `.pkg.slp`.
    SleapLabels,
    /// NWB with poses (ndx-pose).
    Nwb,
    /// CVAT's XML.
    Cvat,
    /// COCO's JSON.
    Coco,
    /// Labelme's JSON, one file or a folder.
    Labelme,
    /// Label Studio's JSON.
    LabelStudio,
    /// napari's points layer, CSV.
    NapariCsv,
    /// idtracker.ai's trajectories, CSV.
    IdtrackerCsv,
    /// A CSV table with one point in each row.
    PointsTable,
}

impl TrackKind {
    /// Returns the name of the program or format, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::DlcCsv | Self::DlcHdf5 => "DeepLabCut",
            Self::SleapCsv | Self::SleapHdf5 | Self::SleapLabels => "SLEAP",
            Self::Nwb => "NWB",
            Self::Cvat => "CVAT",
            Self::Coco => "COCO",
            Self::Labelme => "Labelme",
            Self::LabelStudio => "Label Studio",
            Self::NapariCsv => "napari",
            Self::IdtrackerCsv => "idtracker.ai",
            Self::PointsTable => "points in a table",
        }
    }
}
