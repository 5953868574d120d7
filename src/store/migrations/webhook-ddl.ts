/**
 * Webhooks: a registered subscription document of a department, delivered to an address of the department. Address and secret lie sealed. `place` is
 * how far the feed was delivered, `pending` the end of a delivery under way: an attempt that is repeated covers the same changes under the same number.
 */
export const WEBHOOK_DDL: readonly string[] = [
  `create table webhook (
     id bigint generated always as identity primary key,
     department text not null, role text not null, region text not null,
     officer text not null, officer_name text not null,
     purpose text not null, basis text not null, purpose_case text not null,
     document text not null, url text not null, host text not null, secret text not null, key_version int not null default 1,
     place bigint not null, pending bigint, number bigint not null default 0,
     state text not null default 'active' check (state in ('active', 'dead', 'ended', 'removed')), note text not null default '',
     attempts int not null default 0, next_at timestamptz not null default now(), failing_since timestamptz, delivered_at timestamptz,
     leased_until timestamptz, lease uuid,
     registered_by text not null, registered_name text not null, registered_at timestamptz not null default now())`,
  `create index webhook_due on webhook (next_at) where state = 'active'`,
];
