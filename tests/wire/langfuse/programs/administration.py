"""Projects, keys, members and SCIM users through the generated clients, with a key pair of the organization."""

import json

from langfuse import Langfuse
from langfuse.api import MembershipRole
from langfuse.api.scim.types import ScimEmail, ScimName

api = Langfuse(tracing_enabled=False).api
made = api.projects.create(name="Shop", metadata={"team": "a"}, retention=30)
changed = api.projects.update(made.id, name="Shop 2", metadata={"team": "b"}, retention=0)
key = api.projects.create_api_key(made.id, note="ci")
given = api.projects.create_api_key(made.id, public_key="pk-lf-given", secret_key="sk-lf-given-0123456789")
keys = api.projects.get_api_keys(made.id).api_keys

people = [
    api.scim.create_user(
        user_name=f"{name}@x.example",
        name=ScimName(formatted=name.capitalize()),
        emails=[ScimEmail(primary=True, value=f"{name}@x.example", type="work")],
        password="long enough",
    )
    for name in ("ann", "bob")
]
api.organizations.update_organization_membership(user_id=people[0].id, role=MembershipRole.OWNER)
api.organizations.update_organization_membership(user_id=people[1].id, role=MembershipRole.VIEWER)
override = api.organizations.update_project_membership(made.id, user_id=people[1].id, role=MembershipRole.MEMBER)
members = api.organizations.get_organization_memberships().memberships
in_project = api.organizations.get_project_memberships(made.id).memberships
left = api.organizations.delete_project_membership(made.id, user_id=people[1].id)
api.organizations.update_organization_membership(user_id=people[1].id, role=MembershipRole.MEMBER)
outside = api.organizations.delete_organization_membership(user_id=people[1].id)
api.organizations.update_organization_membership(user_id=people[1].id, role=MembershipRole.VIEWER)
found = api.scim.list_users(filter='userName eq "ANN@x.example"')
api.scim.delete_user(people[1].id)

print(
    json.dumps(
        {
            "project": [made.name, made.metadata, made.retention_days, changed.name, changed.metadata],
            "retention": changed.retention_days,
            "secret": key.secret_key[:6],
            "keys": sorted(k.public_key for k in keys),
            "secrets shown": any(k.display_secret_key in (key.secret_key, given.secret_key) for k in keys),
            "deleted key": api.projects.delete_api_key(made.id, key.id).success,
            "project id": made.id,
            "projects": [p.name for p in api.organizations.get_organization_projects().projects],
            "organization keys": len(api.organizations.get_organization_api_keys().api_keys),
            "members": [[m.email, m.role.value, m.name] for m in members],
            "project members": [[m.email, m.role.value] for m in in_project],
            "override": override.role.value,
            "left": left.user_id == people[1].id,
            "outside": outside.user_id == people[1].id,
            "found": [found.total_results, found.resources[0].user_name, found.resources[0].name.formatted],
            "users": [u.user_name for u in api.scim.list_users(start_index=1, count=10).resources],
            "one": api.scim.get_user(people[0].id).emails[0].value,
            "types": api.scim.get_resource_types().resources[0].id,
            "schemas": api.scim.get_schemas().resources[0].name,
            "patch": api.scim.get_service_provider_config().patch.supported,
        }
    )
)
