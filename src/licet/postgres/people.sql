-- insert_person --
-- A person who may sign in. people_email_once has the last word on the address.
INSERT INTO people (account_id, email, name, role, invited_at)
VALUES (%(account_id)s, %(email)s, %(name)s, %(role)s, %(now)s)
RETURNING id, account_id, email, name, role, invited_at;

-- get --
-- The person under that id, unless removed.
SELECT id, account_id, email, name, role, invited_at
FROM people
WHERE id = %(person_id)s AND removed_at IS NULL;

-- by_email --
-- The person under that address, and the hash of their password if they have set one.
SELECT id, account_id, email, name, role, invited_at, password_hash
FROM people
WHERE email = %(email)s AND removed_at IS NULL;

-- page --
-- By id; of one account, or of all with the operators among them.
SELECT id, account_id, email, name, role, invited_at
FROM people
WHERE removed_at IS NULL
  AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
  AND (%(after)s::text IS NULL OR id > %(after)s)
ORDER BY id
LIMIT %(limit)s;

-- lock_account --
-- Everyone of an account (NULL: the operators), held in one order, so that two who leave at once see each other.
SELECT id, account_id, email, name, role, invited_at
FROM people
WHERE account_id IS NOT DISTINCT FROM %(account_id)s::text AND removed_at IS NULL
ORDER BY id
FOR UPDATE;

-- set_role --
-- Leaves the role it names.
UPDATE people SET role = %(role)s
WHERE id = %(person_id)s AND role = %(former)s AND removed_at IS NULL;

-- remove --
-- Leaves the state "not removed". The row stays, for what the person did is kept.
UPDATE people SET removed_at = %(now)s, password_hash = NULL
WHERE id = %(person_id)s AND removed_at IS NULL;

-- password_hash --
-- The hash of a person's password, or NULL while they have none.
SELECT password_hash
FROM people
WHERE id = %(person_id)s AND removed_at IS NULL;

-- set_password_hash --
-- Leaves the password it names (or none): one row, or somebody was first.
UPDATE people SET password_hash = %(password_hash)s
WHERE id = %(person_id)s AND removed_at IS NULL AND password_hash IS NOT DISTINCT FROM %(former)s::text;

-- insert_link --
-- A way in that works once.
INSERT INTO sign_in_links (hash, person_id, expires_at)
VALUES (%(hash)s, %(person_id)s, %(expires_at)s);

-- spend_link --
-- Leaves the state "unused": whose link it was, or nothing when it was used, has expired or never was.
UPDATE sign_in_links SET used_at = %(now)s
WHERE hash = %(hash)s AND used_at IS NULL AND expires_at > %(now)s
RETURNING person_id;

-- drop_links --
-- Every unused link of a person.
DELETE FROM sign_in_links
WHERE person_id = %(person_id)s AND used_at IS NULL;

-- start_session --
-- Begins a session, unless the person was removed, or has another password by now than the one that was checked.
INSERT INTO sessions (hash, person_id, started_at, expires_at)
SELECT %(hash)s, people.id, %(now)s, %(expires_at)s
FROM people
WHERE people.id = %(person_id)s AND people.removed_at IS NULL
  AND (%(checked)s::text IS NULL OR people.password_hash = %(checked)s);

-- signed_in --
-- Who is signed in by that session now, and since when.
SELECT people.id, people.account_id, people.email, people.name, people.role, people.invited_at, sessions.started_at
FROM sessions JOIN people ON people.id = sessions.person_id
WHERE sessions.hash = %(hash)s AND sessions.expires_at > %(now)s AND people.removed_at IS NULL;

-- end_session --
-- One session, now.
DELETE FROM sessions WHERE hash = %(hash)s;

-- end_sessions --
-- Every session of a person, but for the one that goes on.
DELETE FROM sessions
WHERE person_id = %(person_id)s AND (%(besides)s::bytea IS NULL OR hash <> %(besides)s);

-- forget_expired --
-- Sessions of a person that are over, and links that nobody can use any more.
WITH over AS (DELETE FROM sessions WHERE person_id = %(person_id)s AND expires_at <= %(now)s)
DELETE FROM sign_in_links WHERE person_id = %(person_id)s AND expires_at <= %(now)s;
