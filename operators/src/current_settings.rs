//! The current settings: what an operator works by in an epoch.
//!
//! All operators of a worker share one value, which [`Dataflow::change_settings`](crate::dataflow::Dataflow::change_settings)
//! replaces between two epochs. An operator takes a change up at the start of its next epoch, so that an epoch has the same
//! settings in every operator: no epoch is open while they change, and all workers change them before the same one.
//!
//! What was computed before is not computed again. So a change may only add what no record can have met, such as a brand or a
//! source, or concern what each release decides anew; whoever requests one answers for that.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use crate::settings::Settings;

/// The settings that an operator works by, and those that all operators of its worker change to. Clones share the latter.
#[derive(Clone)]
pub struct CurrentSettings {
    now: Arc<Settings>,
    next: Rc<RefCell<Arc<Settings>>>,
}

impl From<Arc<Settings>> for CurrentSettings {
    fn from(settings: Arc<Settings>) -> CurrentSettings {
        CurrentSettings {
            next: Rc::new(RefCell::new(settings.clone())),
            now: settings,
        }
    }
}

impl From<Settings> for CurrentSettings {
    fn from(settings: Settings) -> CurrentSettings {
        Arc::new(settings).into()
    }
}

impl Deref for CurrentSettings {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.now
    }
}

impl CurrentSettings {
    /// The settings of this epoch, to be kept or sent elsewhere.
    pub fn now(&self) -> Arc<Settings> {
        self.now.clone()
    }

    /// Replaces the settings, for all who share them, from their next epoch on.
    pub fn replace(&mut self, settings: Arc<Settings>) {
        *self.next.borrow_mut() = settings;
        self.take_change();
    }

    /// Takes a change up, and returns the settings of before if there is one. To be called at the start of each epoch.
    pub fn take_change(&mut self) -> Option<Arc<Settings>> {
        let next = self.next.borrow();
        if Arc::ptr_eq(&next, &self.now) {
            return None;
        }
        Some(std::mem::replace(&mut self.now, next.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BrandId;
    use crate::settings::BrandSettings;

    #[test]
    fn a_change_is_taken_up_once_by_each_who_shares_it() {
        let mut first = CurrentSettings::from(Arc::new(Settings::default()));
        let mut second = first.clone();
        assert!(second.take_change().is_none());
        let acme = BrandSettings {
            name: "acme".into(),
            ..BrandSettings::default()
        };
        first.replace(Arc::new(Settings::new([acme])));
        let acme = BrandId::of("acme");
        assert!(first.brands.contains_key(&acme));
        assert!(!second.brands.contains_key(&acme));
        assert!(second.take_change().is_some_and(|of| of.brands.is_empty()));
        assert!(second.brands.contains_key(&acme));
        assert!(second.take_change().is_none() && first.take_change().is_none());
    }
}
