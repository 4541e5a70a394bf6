//! A real server on a loopback port, with real TLS, real HTTP, real devices' cryptography, and
//! the real `ostree` as one of its clients.

#![allow(clippy::disallowed_methods, reason = "tests read the clock and damage files on purpose")]

mod bucket;
mod curl;
mod delegates;
mod device;
mod device_logs;
mod operator;
mod world;

mod alerts;
mod audit;
mod backup;
mod dashboard;
mod director;
mod documents;
mod encrypted;
mod event_stream;
mod floods;
mod guessing;
mod hawkbit;
mod hearing;
mod image_repository;
mod manifests;
mod mender;
mod metrics;
mod oidc;
mod operators;
mod ota_access;
mod ota_director;
mod ota_later;
mod ota_offline;
mod ota_remote;
mod ota_repository;
mod ota_treehub;
mod overview;
mod permissions;
mod postgres;
mod postgres_tls;
mod protocol;
mod provisioning;
mod rollouts;
mod schemathesis;
mod secondaries;
mod sessions;
mod storage;
mod subscriptions;
mod tenants;
mod treehub;
mod tuf_form;
mod webhooks_of_two;
