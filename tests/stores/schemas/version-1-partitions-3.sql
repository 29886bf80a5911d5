CREATE SCHEMA IF NOT EXISTS abonent;
CREATE TABLE abonent.version (
    version integer PRIMARY KEY,
    readable_by integer NOT NULL
);
COMMENT ON TABLE abonent.version IS
    'abonent: the highest version is in force, and releases from readable_by on can use it';
CREATE TABLE abonent.space (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    cursor bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
COMMENT ON TABLE abonent.space IS 'one row a messenger; cursor is that of its last journal entry';
CREATE TABLE abonent.record (space integer NOT NULL, version integer NOT NULL, key bytea NOT NULL, body bytea NOT NULL, PRIMARY KEY (space, key)) PARTITION BY HASH (key);
CREATE TABLE abonent.record_0 PARTITION OF abonent.record FOR VALUES WITH (MODULUS 3, REMAINDER 0) WITH (fillfactor = 80);
CREATE TABLE abonent.record_1 PARTITION OF abonent.record FOR VALUES WITH (MODULUS 3, REMAINDER 1) WITH (fillfactor = 80);
CREATE TABLE abonent.record_2 PARTITION OF abonent.record FOR VALUES WITH (MODULUS 3, REMAINDER 2) WITH (fillfactor = 80);
CREATE TABLE abonent.deadline (at bigint NOT NULL, space integer NOT NULL, key bytea NOT NULL, PRIMARY KEY (space, key)) PARTITION BY HASH (key);
CREATE TABLE abonent.deadline_0 PARTITION OF abonent.deadline FOR VALUES WITH (MODULUS 3, REMAINDER 0) WITH (fillfactor = 80);
CREATE TABLE abonent.deadline_1 PARTITION OF abonent.deadline FOR VALUES WITH (MODULUS 3, REMAINDER 1) WITH (fillfactor = 80);
CREATE TABLE abonent.deadline_2 PARTITION OF abonent.deadline FOR VALUES WITH (MODULUS 3, REMAINDER 2) WITH (fillfactor = 80);
CREATE TABLE abonent.alias (space integer NOT NULL, alias bytea NOT NULL, owner bytea NOT NULL, PRIMARY KEY (space, alias, owner)) PARTITION BY HASH (alias);
CREATE TABLE abonent.alias_0 PARTITION OF abonent.alias FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE abonent.alias_1 PARTITION OF abonent.alias FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE abonent.alias_2 PARTITION OF abonent.alias FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE abonent.journal (cursor bigint NOT NULL, number bigint NOT NULL, space integer NOT NULL, subject bytea NOT NULL, body bytea NOT NULL, PRIMARY KEY (space, cursor, subject)) PARTITION BY HASH (subject);
CREATE TABLE abonent.journal_0 PARTITION OF abonent.journal FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE abonent.journal_1 PARTITION OF abonent.journal FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE abonent.journal_2 PARTITION OF abonent.journal FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE INDEX deadline_due ON abonent.deadline (space, at, key);
CREATE FUNCTION abonent.commit_1(
    of_space bigint,
    keys bytea[], since bigint[], upto bigint[], bodies bytea[], wakes bigint[],
    aliases bytea[], owners bytea[], present boolean[],
    sole_aliases bytea[], sole_owners bytea[],
    subjects bytea[], numbers bigint[], entries bytea[]
) RETURNS void LANGUAGE plpgsql
-- Row by row, each found by its primary key: a plan for many at once may be one that reads a table
-- from end to end, made when it was small, and for one it takes five times as long to begin.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    base bigint;
BEGIN
    UPDATE abonent.space SET cursor = cursor + cardinality(subjects) WHERE id = of_space
        RETURNING cursor - cardinality(subjects) INTO STRICT base;
    FOR i IN 1 .. cardinality(keys) LOOP
        IF since[i] > 0 AND upto[i] > 0 THEN
            UPDATE abonent.record SET version = upto[i], body = bodies[i]
                WHERE space = of_space AND key = keys[i] AND version = since[i];
        ELSIF since[i] > 0 THEN
            DELETE FROM abonent.record
                WHERE space = of_space AND key = keys[i] AND version = since[i];
        ELSIF upto[i] > 0 THEN
            INSERT INTO abonent.record (space, version, key, body)
                VALUES (of_space, upto[i], keys[i], bodies[i]) ON CONFLICT DO NOTHING;
        ELSE
            PERFORM WHERE NOT EXISTS (
                SELECT FROM abonent.record WHERE space = of_space AND key = keys[i]
            );
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a record is not as expected' USING ERRCODE = 'AB001';
        END IF;
        IF wakes[i] <> -9223372036854775808 THEN
            INSERT INTO abonent.deadline AS d (at, space, key)
                VALUES (wakes[i], of_space, keys[i])
                ON CONFLICT (space, key) DO UPDATE SET at = excluded.at
                    WHERE d.at <> excluded.at;
        ELSIF since[i] > 0 THEN
            DELETE FROM abonent.deadline WHERE space = of_space AND key = keys[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(aliases) LOOP
        IF present[i] THEN
            INSERT INTO abonent.alias (space, alias, owner)
                VALUES (of_space, aliases[i], owners[i]) ON CONFLICT DO NOTHING;
        ELSE
            DELETE FROM abonent.alias
                WHERE space = of_space AND alias = aliases[i] AND owner = owners[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(sole_aliases) LOOP
        PERFORM FROM abonent.alias
            WHERE space = of_space AND alias = sole_aliases[i] AND owner <> sole_owners[i];
        IF FOUND THEN
            RAISE EXCEPTION 'an alias has another owner' USING ERRCODE = 'AB001';
        END IF;
    END LOOP;
    INSERT INTO abonent.journal (cursor, number, space, subject, body)
        SELECT base + e.place, e.number, of_space, e.subject, e.body
            FROM unnest(subjects, numbers, entries)
                WITH ORDINALITY AS e (subject, number, body, place);
END $$;
INSERT INTO abonent.version VALUES (1, 1);
