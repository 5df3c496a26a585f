/** Who sits in front of the page: whoever has signed in, or, where nobody has to, the name they gave themselves. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sessionQuery } from "@/api/queries";
import { readStored, writeStored } from "@/ui/stored";

const KEY = "twinlens.person";

export function usePerson(): { name: string; known: boolean; rename: ((name: string) => void) | null } {
  const session = useQuery(sessionQuery);
  const [own, setOwn] = useState(() => readStored(KEY, ""));
  const user = session.data?.user ?? null;
  if (user) return { name: user, known: true, rename: null };
  return {
    name: own || "anonymous",
    known: own !== "",
    rename: (name) => {
      setOwn(name.trim());
      writeStored(KEY, name.trim());
    },
  };
}
