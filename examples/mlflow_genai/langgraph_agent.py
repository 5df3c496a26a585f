"""A LangGraph graph around LangChain's model, traced by MLflow."""

import mlflow
from _check import check
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

mlflow.set_experiment("langgraph")
mlflow.langchain.autolog()
model = ChatOpenAI(model="gpt-4o-mini")


def think(state: MessagesState) -> dict:
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("think", think)
graph.add_edge(START, "think")
graph.add_edge("think", END)
reply = graph.compile().invoke({"messages": [("user", "Why is the sky blue?")]})
assert reply["messages"][-1].content == "Because."
check("langgraph", kinds={"CHAIN", "CHAT_MODEL"})
