import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { useUnsaved } from "@/app/unsaved";
import { problems } from "@/base/problems";
import { Button } from "@/ui/Button";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { Field, FormError, Input, Select } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { membersQuery } from "./queries";
import css from "./Settings.module.css";

const ROLES = ["OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"] as const;
type Role = (typeof ROLES)[number];
const NAMES: Record<Role, string> = {
  OWNER: "Owner",
  ADMIN: "Administrator",
  MEMBER: "Member",
  VIEWER: "Viewer",
  NONE: "No access",
};

export function Members({ projectId }: { readonly projectId: string }) {
  const queries = useQueryClient();
  const query = useQuery(membersQuery(projectId));
  const settled = {
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "members"] }),
    onError: (error: Error) => {
      toast(error.message, { tone: "err" });
      void queries.invalidateQueries({ queryKey: [projectId, "members"] });
    },
  };
  const setRole = useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) =>
      api.patch("/organization/members/{user_id}", { path: { user_id: id }, body: { role } }),
    ...settled,
  });
  const setProjectRole = useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role | null }) =>
      api.patch("/projects/{project_id}/members/{user_id}", {
        path: { project_id: projectId, user_id: id },
        body: { role },
      }),
    ...settled,
  });
  const remove = useMutation({
    mutationFn: (id: string) => api.delete("/organization/members/{user_id}", { path: { user_id: id } }),
    ...settled,
  });
  if (query.isPending) return <LoadingRows rows={5} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const { members, may_manage_organization: governs } = query.data;
  return (
    <>
      {governs ? <NewMember projectId={projectId} /> : null}
      {members.length === 0 ? (
        <Empty title="No users yet">
          On this machine alone nobody has to sign in. The next start after the first user with a password is secured.
        </Empty>
      ) : (
        <table className={css.table} aria-label="Members">
          <thead>
            <tr>
              <th>User</th>
              <th>Name</th>
              <th>Role in the organization</th>
              <th>Role in this project</th>
              <th>
                <span className={css.hidden}>Remove</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {members.map((m) => (
              <tr key={m.user_id}>
                <td>{m.email}</td>
                <td>{m.name}</td>
                <td>
                  <Select
                    aria-label={`Role of ${m.email} in the organization`}
                    value={m.role}
                    disabled={!governs}
                    onChange={(e) => setRole.mutate({ id: m.user_id, role: e.currentTarget.value as Role })}
                  >
                    {ROLES.map((role) => (
                      <option key={role} value={role}>
                        {NAMES[role]}
                      </option>
                    ))}
                  </Select>
                </td>
                <td>
                  <Select
                    aria-label={`Role of ${m.email} in this project`}
                    value={m.project_role ?? ""}
                    onChange={(e) =>
                      setProjectRole.mutate({ id: m.user_id, role: (e.currentTarget.value || null) as Role | null })
                    }
                  >
                    <option value="">as in the organization</option>
                    {ROLES.map((role) => (
                      <option key={role} value={role}>
                        {NAMES[role]}
                      </option>
                    ))}
                  </Select>
                </td>
                <td>
                  {governs ? (
                    <ConfirmButton label={`Remove ${m.email}`} verb="Remove" run={() => remove.mutate(m.user_id)} />
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function NewMember({ projectId }: { readonly projectId: string }) {
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("MEMBER");
  const add = useMutation({
    mutationFn: () =>
      api.post("/organization/members", { body: { email, password: password || null, role, name: "" } }),
    onSuccess: async () => {
      setEmail("");
      setPassword("");
      await queries.invalidateQueries({ queryKey: [projectId, "members"] });
    },
  });
  const wrong = problems(add.error, { password: /password/i, email: /mail/i });
  useUnsaved(!add.isPending && email !== "");
  return (
    <form
      className={css.form}
      aria-label="New user"
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate();
      }}
    >
      <Field label="E-mail" error={wrong.email} grow>
        <Input type="email" required value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
      </Field>
      <Field label="Password" error={wrong.password}>
        <Input
          type="password"
          autoComplete="new-password"
          minLength={8}
          placeholder="8 characters or more"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
        />
      </Field>
      <Field label="Role">
        <Select value={role} onChange={(e) => setRole(e.currentTarget.value as Role)}>
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {NAMES[one]}
            </option>
          ))}
        </Select>
      </Field>
      <Button look="primary" type="submit" disabled={add.isPending}>
        Add user
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}
