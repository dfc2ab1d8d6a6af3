//! One model, looked at.
use crate::proof::Proof;
use crate::reader::Reader;
use crate::verdict;
use record::{Model, Plan};
use std::path::Path;
use std::time::Instant;
use tool::Failure;
use weights::{Asked, Role};

/// One model that was looked at.
pub(crate) struct Look {
    pub(crate) model: Model,
    pub(crate) report: weights::Report,
}

impl Look {
    /// Look at one model, and hash it where that was asked for.
    pub(crate) fn at(
        path: &Path,
        asked: Asked,
        reader: &Reader,
        proof: Option<&Proof>,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        log::info!("reads the headers of {}", path.display());
        let mut report = reader.act(|| weights::look(path, asked))?;
        let proved = proof.map(|proof| proof.of(path, reader, &mut report)).transpose()?;
        let mut model = verdict::record(&report, asked.role, started);
        if let Some(proved) = proved {
            model.hashed_bytes = Some(proved.hashed_bytes);
            (model.manifest, model.signature) = (proved.manifest, proved.signature);
        }
        Ok(Self { model, report })
    }

    /// It is a plan's, which spreads one copy over so many GPUs.
    pub(crate) fn of(mut self, plan: &Plan, gpus: Option<u64>) -> Self {
        let model = &mut self.model;
        (model.engine, model.instance) = (Some(plan.engine), Some(plan.instance.clone()));
        model.gpus = gpus.filter(|_| model.role == Role::Model.id());
        model.gpu_bytes = model.gpus.and_then(|gpus| self.report.total().bytes.checked_div(gpus));
        self
    }
}
