//! Rolling deploys: functions of two versions on one storage, through client, storage, worker and
//! drain.

mod methods;
mod parameters;
mod parts;
mod remembered;
mod stage;
mod surroundings;
mod upgrades;
mod values;
