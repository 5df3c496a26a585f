"""A LangGraph graph around LangChain's model."""

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

model = ChatOpenAI(model="gpt-4o-mini")


def think(state: MessagesState) -> dict:
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("think", think)
graph.add_edge(START, "think")
graph.add_edge("think", END)
print(graph.compile().invoke({"messages": [("user", "Why is the sky blue?")]})["messages"][-1].content)
