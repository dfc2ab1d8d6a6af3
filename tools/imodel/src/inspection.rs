//! One model, looked at.
use crate::reader::Reader;
use crate::verdict;
use crate::verification::Verifier;
use record::{Model, Plan};
use std::path::Path;
use std::time::Instant;
use tool::Failure;
use weights::{Loader, Role};

/// One model that was looked at.
pub(crate) struct Inspection {
    pub(crate) model: Model,
    pub(crate) report: weights::Report,
}

impl Inspection {
    /// Look at one model, and hash it where that was asked for.
    pub(crate) fn at(
        path: &Path,
        loader: Loader,
        reader: &Reader,
        verifier: Option<&Verifier>,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        log::info!("reads the headers of {}", path.display());
        let mut report = reader.act(|| weights::inspect(path, loader))?;
        let proved = verifier.map(|verifier| verifier.of(path, reader, &mut report)).transpose()?;
        let mut model = verdict::record(&report, loader.role, started);
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
