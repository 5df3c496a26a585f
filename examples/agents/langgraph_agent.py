"""A LangGraph agent around LangChain's model and a tool; steps are streamed."""

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


@tool
def fact(topic: str) -> str:
    """A fact about a topic."""
    return f"{topic} is blue"


model = ChatOpenAI(model="gpt-4o-mini").bind_tools([fact])


def think(state: MessagesState) -> dict:
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("think", think)
graph.add_node("tools", ToolNode([fact]))
graph.add_edge(START, "think")
graph.add_conditional_edges("think", tools_condition)
graph.add_edge("tools", "think")
asked = {"messages": [("user", "Why is the sky blue? Use a tool.")]}
*_, last = graph.compile(name="physicist").stream(asked, stream_mode="values")
print(last["messages"][-1].content)
