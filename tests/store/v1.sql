SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.hf_audit_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alerts (
    seq bigint NOT NULL,
    "time" bigint NOT NULL,
    incident text NOT NULL COLLATE pg_catalog."C",
    rule text NOT NULL COLLATE pg_catalog."C",
    severity bigint NOT NULL,
    container text NOT NULL COLLATE pg_catalog."C",
    bytes bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.audit (
    seq bigint NOT NULL,
    "time" bigint NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    via text NOT NULL COLLATE pg_catalog."C",
    what text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    old_value text NOT NULL COLLATE pg_catalog."C",
    new_value text NOT NULL COLLATE pg_catalog."C",
    prev_hash text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.audit_head (
    id bigint NOT NULL,
    seq bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.containers (
    id text NOT NULL COLLATE pg_catalog."C",
    host text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    image text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    started bigint NOT NULL,
    ended bigint NOT NULL,
    seen bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.counters (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL
);
CREATE TABLE public.findings (
    digest text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    ecosystem text NOT NULL COLLATE pg_catalog."C",
    package text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    fixed text NOT NULL COLLATE pg_catalog."C",
    severity bigint NOT NULL,
    used bigint NOT NULL,
    found bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.hf_schema (
    version bigint NOT NULL,
    applied bigint NOT NULL,
    program text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.hosts (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    seen bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.images (
    digest text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    scanned bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.incidents (
    id text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    state bigint NOT NULL,
    severity bigint NOT NULL,
    assignee text NOT NULL COLLATE pg_catalog."C",
    opened bigint NOT NULL,
    updated bigint NOT NULL,
    last_alert bigint NOT NULL,
    bytes bigint NOT NULL,
    title text NOT NULL COLLATE pg_catalog."C",
    search text NOT NULL COLLATE pg_catalog."C",
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.packages (
    digest text NOT NULL COLLATE pg_catalog."C",
    ecosystem text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    used bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.queue (
    seq bigint NOT NULL,
    channel text NOT NULL COLLATE pg_catalog."C",
    fold_key text NOT NULL COLLATE pg_catalog."C",
    state bigint NOT NULL,
    not_before bigint NOT NULL,
    lease bigint NOT NULL,
    tries bigint NOT NULL,
    folded bigint NOT NULL,
    pushed bigint NOT NULL,
    error text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.seals (
    digest text NOT NULL COLLATE pg_catalog."C",
    made bigint NOT NULL,
    doc text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.settings (
    name text NOT NULL COLLATE pg_catalog."C",
    changed bigint NOT NULL,
    value text NOT NULL COLLATE pg_catalog."C"
);
INSERT INTO public.alerts VALUES (1, 1795719600000000000, 'I-0', 'miner', 3, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (2, 1795723200000000000, 'I-0', 'shell', 4, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (3, 1795726800000000000, 'I-0', 'shell', 5, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (4, 1795719600000000000, 'I-1', 'miner', 3, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (5, 1795723200000000000, 'I-1', 'shell', 4, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (6, 1795726800000000000, 'I-1', 'shell', 5, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (7, 1795719600000000000, 'I-2', 'miner', 3, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (8, 1795723200000000000, 'I-2', 'shell', 4, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (9, 1795726800000000000, 'I-2', 'shell', 5, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (10, 1795719600000000000, 'I-3', 'miner', 3, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (11, 1795723200000000000, 'I-3', 'shell', 4, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.alerts VALUES (12, 1795726800000000000, 'I-3', 'shell', 5, 'c1', 12, '{"rule":"x"}');
INSERT INTO public.audit VALUES (1, 1795737410140519425, 'ann', 'cli', 'open', 'I-0', '', '', '0000000000000000000000000000000000000000000000000000000000000000', '572fb452c6ceb99e9eb46cf3d6f18dde9244df8810845b8e81162464aa794e2a');
INSERT INTO public.audit VALUES (2, 1795737410196311232, 'ann', 'cli', 'acknowledged', 'I-1', '', '', '572fb452c6ceb99e9eb46cf3d6f18dde9244df8810845b8e81162464aa794e2a', '1aec557c60514f3672d06c31760220709c24c20e03dff234f5b128767103267b');
INSERT INTO public.audit VALUES (3, 1795737410280362269, 'ann', 'cli', 'contained', 'I-2', '', '', '1aec557c60514f3672d06c31760220709c24c20e03dff234f5b128767103267b', 'f7eded827fafd29ecde89b1a5f21646c2dd766b74ae5b58b5b4dae5cbb6e1cef');
INSERT INTO public.audit VALUES (4, 1795737410352740541, 'ann', 'cli', 'resolved', 'I-3', '', '', 'f7eded827fafd29ecde89b1a5f21646c2dd766b74ae5b58b5b4dae5cbb6e1cef', '955be71a09ce7cf44e0dc18689ae046b8998cfc46779e6c1da6187443dc9dfd0');
INSERT INTO public.audit_head VALUES (1, 4, '955be71a09ce7cf44e0dc18689ae046b8998cfc46779e6c1da6187443dc9dfd0');
INSERT INTO public.containers VALUES ('c1', 'h1', 'web-1', 'web', 'sha256:a', 1, 0, 1, '{}');
INSERT INTO public.containers VALUES ('c2', 'h1', 'web-2', 'web', 'sha256:a', 1, 7, 1, '{}');
INSERT INTO public.counters VALUES ('alerts', 12);
INSERT INTO public.counters VALUES ('queue', 5);
INSERT INTO public.findings VALUES ('sha256:a', 'CVE-1', 'debian:12', 'libssl3', '3.0.1', '3.0.9', 5, 1, 77, '{}');
INSERT INTO public.findings VALUES ('sha256:a', 'CVE-2', 'npm', 'left-pad', '1.0.0', '', 3, 0, 78, '{}');
INSERT INTO public.hf_schema VALUES (1, 1795737410112129772, 'holdfast 0.1.0');
INSERT INTO public.hosts VALUES ('h1', 'node-7', 5, '{}');
INSERT INTO public.images VALUES ('sha256:a', 'web', 1, '{}');
INSERT INTO public.images VALUES ('sha256:b', 'db', 0, '{}');
INSERT INTO public.incidents VALUES ('I-0', 1, 1, 5, 'ann', 1795719600000000000, 1795722000000000000, 0, 262, 'Number 0', 'i-0
number 0
of version 1.
node-7
', '{"schema":"holdfast.incident/1","id":"I-0","revision":1,"title":"Number 0","summary":"Of version 1.","severity":"high","state":"open","assignee":"ann","opened":"2026-11-26T19:00:00Z","updated":"2026-11-26T19:40:00Z","hosts":["node-7"],"containers":[],"rules":[]}');
INSERT INTO public.incidents VALUES ('I-1', 2, 2, 5, 'ann', 1795719600000000000, 1795720200000000000, 0, 270, 'Number 1', 'i-1
number 1
of version 1.
node-7
', '{"schema":"holdfast.incident/1","id":"I-1","revision":2,"title":"Number 1","summary":"Of version 1.","severity":"high","state":"acknowledged","assignee":"ann","opened":"2026-11-26T19:00:00Z","updated":"2026-11-26T19:10:00Z","hosts":["node-7"],"containers":[],"rules":[]}');
INSERT INTO public.incidents VALUES ('I-2', 3, 4, 5, 'ann', 1795719600000000000, 1795721400000000000, 0, 267, 'Number 2', 'i-2
number 2
of version 1.
node-7
', '{"schema":"holdfast.incident/1","id":"I-2","revision":3,"title":"Number 2","summary":"Of version 1.","severity":"high","state":"contained","assignee":"ann","opened":"2026-11-26T19:00:00Z","updated":"2026-11-26T19:30:00Z","hosts":["node-7"],"containers":[],"rules":[]}');
INSERT INTO public.incidents VALUES ('I-3', 4, 8, 5, 'ann', 1795719600000000000, 1795720800000000000, 0, 266, 'Number 3', 'i-3
number 3
of version 1.
node-7
', '{"schema":"holdfast.incident/1","id":"I-3","revision":4,"title":"Number 3","summary":"Of version 1.","severity":"high","state":"resolved","assignee":"ann","opened":"2026-11-26T19:00:00Z","updated":"2026-11-26T19:20:00Z","hosts":["node-7"],"containers":[],"rules":[]}');
INSERT INTO public.packages VALUES ('sha256:a', 'debian:12', 'libssl3', '3.0.1', 'openssl', 1, '{}');
INSERT INTO public.packages VALUES ('sha256:a', 'npm', 'left-pad', '1.0.0', '', 0, '{}');
INSERT INTO public.queue VALUES (2, 'chat', '', 0, 0, 0, 0, 0, 1795737410166612302, '', 'message');
INSERT INTO public.queue VALUES (3, 'chat', '', 0, 0, 0, 0, 0, 1795737410245329603, '', 'message');
INSERT INTO public.queue VALUES (4, 'chat', '', 0, 0, 0, 0, 0, 1795737410290758845, '', 'message');
INSERT INTO public.queue VALUES (1, 'mail', 'k', 0, 0, 0, 0, 3, 1795737410156997729, '', 'message');
INSERT INTO public.queue VALUES (5, 'chat', '', 0, 0, 0, 0, 0, 1795737410370143960, '', 'message');
INSERT INTO public.seals VALUES ('sha256:a', 4, '{}');
INSERT INTO public.settings VALUES ('notify/x', 1795737410374002340, '{}');
ALTER TABLE ONLY public.alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.containers
    ADD CONSTRAINT containers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (digest, id, ecosystem, package, version);
ALTER TABLE ONLY public.hf_schema
    ADD CONSTRAINT hf_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT incidents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.packages
    ADD CONSTRAINT packages_pkey PRIMARY KEY (digest, ecosystem, name, version);
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT queue_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.seals
    ADD CONSTRAINT seals_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (name);
CREATE INDEX alerts_incident ON public.alerts USING btree (incident, seq);
CREATE INDEX alerts_time ON public.alerts USING btree ("time", seq, bytes);
CREATE INDEX audit_target ON public.audit USING btree (target, seq);
CREATE INDEX containers_digest ON public.containers USING btree (digest, ended);
CREATE INDEX containers_ended ON public.containers USING btree (ended, id);
CREATE INDEX findings_id ON public.findings USING btree (id, digest);
CREATE INDEX incidents_state ON public.incidents USING btree (state, updated, id, bytes);
CREATE INDEX incidents_updated ON public.incidents USING btree (updated, id);
CREATE INDEX packages_name ON public.packages USING btree (ecosystem, name);
CREATE INDEX packages_source ON public.packages USING btree (ecosystem, source);
CREATE INDEX queue_fold ON public.queue USING btree (channel, fold_key, state, seq);
CREATE INDEX queue_order ON public.queue USING btree (channel, state, seq);
CREATE INDEX queue_retry ON public.queue USING btree (channel, state, seq, not_before) WHERE (tries > 0);
CREATE TRIGGER audit_no_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.hf_audit_refuse();
