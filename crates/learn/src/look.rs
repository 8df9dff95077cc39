use record::TrainStep;
use weights::{Adapter, Checkpoint};

use crate::places::Places;
use crate::{Layout, Result};

/// What was learned. (A token that is learned is a [`crate::Target`].)
#[derive(Debug, Clone)]
pub enum Learned {
    /// Low-rank pairs beside the base.
    Adapter(Adapter),
    /// A model of its own, where all weights are trained.
    Whole(Checkpoint),
}

impl Learned {
    /// The adapter, if it is one.
    pub fn adapter(&self) -> Option<&Adapter> {
        match self {
            Self::Adapter(adapter) => Some(adapter),
            Self::Whole(_) => None,
        }
    }

    /// Parameters as what they are.
    pub(crate) fn of(base: &Checkpoint, layout: &Layout, parameters: &[f32]) -> Result<Self> {
        if !layout.whole {
            return Ok(Self::Adapter(layout.adapter(parameters, &base.name)));
        }
        let tensors = Places::new(&base.architecture).tensors(&base.architecture, parameters);
        Ok(Self::Whole(base.with(tensors)?))
    }
}

/// A training between two steps, for those who watch it.
pub struct Look<'a> {
    /// The step that was just done.
    pub step: &'a TrainStep,
    /// Steps in all, unless something stops the training.
    pub steps: u64,
    pub(crate) base: &'a Checkpoint,
    pub(crate) layout: &'a Layout,
    pub(crate) parameters: &'a [f32],
}

impl Look<'_> {
    /// A copy of what stands after the step, ready to be measured.
    pub fn learned(&self) -> Result<Learned> {
        Learned::of(self.base, self.layout, self.parameters)
    }
}
