import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "@/api/client";
import { Logo } from "@/app/Logo";
import { usePageSearch } from "@/app/url";
import { Button } from "@/ui/Button";
import { Input } from "@/ui/Field";
import css from "./LoginPage.module.css";

/** Sign-in of a secured server. In open mode nobody is sent here. */
export function LoginPage() {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { to } = usePageSearch();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useMutation({
    mutationFn: () => api.post("/sign-in", { body: { email, password } }),
    onSuccess: async () => {
      queries.clear();
      // Only a path of this server: `//host` would be another one.
      await navigate({ href: to && /^\/(?![/\\])/.test(to) ? to : "/" });
    },
  });
  return (
    <div className={css.page}>
      <form
        className={css.card}
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate();
        }}
      >
        <h1 className={css.brand}>
          <Logo size={28} /> Twinlens
        </h1>
        <label className={css.field}>
          E-mail
          <Input
            type="email"
            autoComplete="username"
            required
            value={email}
            onChange={(e) => setEmail(e.currentTarget.value)}
          />
        </label>
        <label className={css.field}>
          Password
          <Input
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(e) => setPassword(e.currentTarget.value)}
          />
        </label>
        {signIn.isError ? (
          <div className={css.error} role="alert">
            {signIn.error.message}
          </div>
        ) : null}
        <Button look="primary" type="submit" disabled={signIn.isPending}>
          {signIn.isPending ? "Signing in…" : "Sign in"}
        </Button>
      </form>
    </div>
  );
}
